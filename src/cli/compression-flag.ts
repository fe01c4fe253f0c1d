/** `--compression` of what pushes. */
import type { PushCompression } from '../api/image-types.ts'
import type { Flag, Flags } from './args.ts'

const CHOICES: readonly PushCompression[] = ['gzip', 'zstd', 'none']

export const COMPRESSION_FLAG: Flag = {
  name: 'compression',
  kind: 'text',
  value: 'HOW',
  choices: CHOICES,
  help: 'gzip, zstd or none, of layers that were made on this host (default: gzip)',
}

export function compressionOf(flags: Flags): { readonly compression?: PushCompression } {
  const compression = CHOICES.find((choice) => choice === flags.text('compression'))
  return compression === undefined ? {} : { compression }
}
