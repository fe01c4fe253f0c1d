/** ANSI colours as functions; with `color` false they return the text as it is. */
export interface Style {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly red: (text: string) => string
  readonly green: (text: string) => string
  readonly yellow: (text: string) => string
  readonly cyan: (text: string) => string
}

function sgr(code: string): (text: string) => string {
  return (text) => `\u001b[${code}m${text}\u001b[0m`
}

const plain = (text: string): string => text

export function createStyle(color: boolean): Style {
  const use = (code: string): ((text: string) => string) => (color ? sgr(code) : plain)
  return {
    bold: use('1'),
    dim: use('2'),
    red: use('31'),
    green: use('32'),
    yellow: use('33'),
    cyan: use('36'),
  }
}

/** Docker Compose's cycle of colours for log prefixes. */
const CYCLE = ['36', '33', '32', '35', '34', '36;1', '33;1', '32;1', '35;1', '34;1']

/** The n-th colour of the cycle, as a function. */
export function cycleColor(index: number): (text: string) => string {
  return sgr(CYCLE[index % CYCLE.length] ?? '36')
}
