/**
 * Platforms of images: `linux/amd64`, `linux/arm64/v8` (https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md,
 * "Platform Variants"; normalized as containerd does). Pure.
 */
import { TsstackError } from '../../errors.ts'
import { HOST_ARCHITECTURE } from './image.ts'

export interface Platform {
  readonly os: string
  readonly architecture: string
  /** `v3`: what of the architecture there is at most. */
  readonly variant?: string
}

export const HOST_PLATFORM: Platform = { os: 'linux', architecture: HOST_ARCHITECTURE }

const OTHER_NAMES: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  aarch64: 'arm64',
  i386: '386',
  i686: '386',
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/')
}

/** A 64-bit x86 machine runs 32-bit programs, too. */
function runsHere({ os, architecture }: Platform): boolean {
  const own = [HOST_ARCHITECTURE, ...(HOST_ARCHITECTURE === 'amd64' ? ['386'] : [])]
  return os === 'linux' && own.includes(architecture)
}

/**
 * `os[/architecture[/variant]]`, or an architecture alone.
 * @throws {INVALID_ARGUMENT} no platform; {FAILED_PRECONDITION} its programs do not run here
 */
export function parsePlatform(text: string): Platform {
  const words = text.toLowerCase().split('/')
  if (words.length > 3 || !words.every((word) => /^[a-z0-9_.-]{1,64}$/.test(word))) {
    throw new TsstackError('INVALID_ARGUMENT', `Cannot read platform "${text.slice(0, 100)}"`, {
      hint: 'Write os/architecture or os/architecture/variant, such as linux/amd64',
    })
  }
  const isArchitecture = words.length === 1 && words[0] !== 'linux'
  const [os = 'linux', name = HOST_ARCHITECTURE, variant] = isArchitecture
    ? ['linux', ...words]
    : words
  const architecture = OTHER_NAMES[name] ?? name
  const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) }
  if (runsHere(platform)) return platform
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot use platform "${formatPlatform(platform)}": its programs do not run here`,
    { hint: `This machine is ${formatPlatform(HOST_PLATFORM)}` },
  )
}
