/** What a build context is, by how it is written: `build.context`, and those of `additional_contexts`. Pure. */

type BuildContext =
  | { readonly kind: 'directory'; readonly path: string }
  /** A git repository, or what HTTP gives: an archive, or a Dockerfile alone. */
  | { readonly kind: 'remote'; readonly url: string }
  /** `docker-image://`: what may stand after `image:`. */
  | { readonly kind: 'image'; readonly reference: string }
  /** `oci-layout://DIRECTORY`, with `:tag` or `@digest`. */
  | { readonly kind: 'layout'; readonly directory: string; readonly name?: string }
  /** The image of another service. */
  | { readonly kind: 'service'; readonly service: string }
  | { readonly kind: 'unknown'; readonly scheme: string }

const GIT = /^(?:github\.com\/|git@)/
const SCHEME = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is

function layout(rest: string): BuildContext {
  const [, directory = '', names] = /^([^:@]*)(?:[:@](.+))?$/s.exec(rest) ?? []
  const name = names?.split('@').at(-1) // a digest says more than a tag
  return { kind: 'layout', directory, ...(name === undefined ? {} : { name }) }
}

export function parseBuildContext(text: string): BuildContext {
  const [, service] = /^service:(.*)$/s.exec(text) ?? []
  if (service !== undefined) return { kind: 'service', service }
  if (GIT.test(text)) return { kind: 'remote', url: text }
  const [, scheme = '', rest = ''] = SCHEME.exec(text) ?? []
  switch (scheme.toLowerCase()) {
    case '':
      return { kind: 'directory', path: text }
    case 'docker-image':
      return { kind: 'image', reference: rest }
    case 'oci-layout':
      return layout(rest)
    case 'http':
    case 'https':
    case 'git':
    case 'ssh':
    case 'file':
      return { kind: 'remote', url: text }
    default:
      return { kind: 'unknown', scheme }
  }
}
