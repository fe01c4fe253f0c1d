/** `repository:tag`; the transport of tsstack's own references (`host:sh`) is part of the repository. Pure. */
export function splitReference(reference: string): readonly [repository: string, tag: string] {
  if (/^(?:host|dir|oci|oci-archive|docker-archive):/.test(reference)) return [reference, '']
  const at = reference.indexOf('@')
  const name = at === -1 ? reference : reference.slice(0, at)
  const colon = name.lastIndexOf(':')
  return colon > name.lastIndexOf('/')
    ? [name.slice(0, colon), name.slice(colon + 1)]
    : [name, 'latest']
}
