/** The short syntax of a service's `volumes`: `[SOURCE:]TARGET[:OPTIONS]` (compose-spec 05-services.md#volumes). */

export interface VolumeMount {
  readonly type: 'bind' | 'volume'
  readonly source?: string
  readonly target: string
  readonly read_only?: boolean
  readonly bind?: { readonly propagation?: string; readonly selinux?: string }
  readonly volume?: { readonly nocopy?: boolean }
}

/** How mounts below a bind mount pass between host and container (man 7 mount_namespaces). */
export const PROPAGATIONS: ReadonlySet<string> = new Set([
  ...['rprivate', 'private', 'rshared', 'shared', 'rslave', 'slave'],
])

/** The mount that a short syntax stands for, or what is wrong with it. Options that are not known are passed over. */
export function parseVolume(spec: string): VolumeMount | string {
  if (spec === '') return 'invalid empty volume spec'
  if (spec.length <= 2) return { type: 'volume', target: spec }
  const sections = splitSections(spec)
  if (sections.includes('')) return `invalid spec: ${spec}: empty section between colons`
  if (sections.length > 3) return `invalid spec: ${spec}: too many colons`
  const [first = '', second, options] = sections
  if (second === undefined) return { type: 'volume', target: first }
  return withOptions({ source: first, target: second, options: options?.split(',') ?? [] })
}

/** Parts at colons, but not at one of a Windows drive or within `${…}`. */
function splitSections(spec: string): string[] {
  const sections: string[] = []
  let section = ''
  let depth = 0
  for (let at = 0; at < spec.length; at++) {
    const char = spec.charAt(at)
    if (char === '$' && spec[at + 1] === '{') depth++
    else if (char === '}' && depth > 0) depth--
    const isDrive = char === ':' && /^\p{L}$/u.test(section)
    if (char === ':' && depth === 0 && !isDrive) {
      sections.push(section)
      section = ''
    } else section += char
  }
  return [...sections, section]
}

interface ShortMount {
  readonly source: string
  readonly target: string
  readonly options: readonly string[]
}

function withOptions({ source, target, options }: ShortMount): VolumeMount {
  const propagation = options.findLast((option) => PROPAGATIONS.has(option))
  const selinux = options.findLast((option) => option === 'z' || option === 'Z')
  const access = options.findLast((option) => option === 'ro' || option === 'rw')
  const isBind = isHostPath(source)
  const bind = {
    ...(propagation === undefined ? {} : { propagation }),
    ...(selinux === undefined ? {} : { selinux }),
  }
  return {
    type: isBind ? 'bind' : 'volume',
    source,
    target,
    ...(access === 'ro' ? { read_only: true } : {}),
    ...(isBind || Object.keys(bind).length > 0 ? { bind } : {}),
    ...(options.includes('nocopy') ? { volume: { nocopy: true } } : isBind ? {} : { volume: {} }),
  }
}

/** A path of the host rather than the name of a volume. */
export function isHostPath(source: string): boolean {
  return /^(?:[./~]|\\\\|\p{L}:)/u.test(source)
}
