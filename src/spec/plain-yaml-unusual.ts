/** Thrown by the reader of plain YAML at what it does not read; never leaves it. */
export const UNUSUAL = new Error('Cannot read the text as plain YAML: it is unusual')
