/** `cache_from` and `cache_to` of a build: `NAME`, or `type=…,key=value` as BuildKit has it. Pure. */

export type BuildCache =
  | { readonly kind: 'registry'; readonly reference: string; readonly isWhole: boolean }
  | { readonly kind: 'local'; readonly directory: string; readonly isWhole: boolean }
  /** In the image itself. */
  | { readonly kind: 'inline' }
  | { readonly kind: 'unknown'; readonly type: string }

export function parseBuildCache(text: string): BuildCache {
  if (!text.includes('=')) return { kind: 'registry', reference: text, isWhole: false }
  const pairs = text.split(',').map((pair): [string, string] => {
    const [name = '', value = ''] = pair.split(/=(.*)/s)
    return [name.trim().toLowerCase(), value.trim()]
  })
  const options = new Map(pairs)
  const type = options.get('type') ?? ''
  const isWhole = options.get('mode') === 'max'
  const reference = options.get('ref') ?? ''
  const directory = options.get('src') ?? options.get('dest') ?? ''
  if (type === 'registry' && reference !== '') return { kind: 'registry', reference, isWhole }
  if (type === 'local' && directory !== '') return { kind: 'local', directory, isWhole }
  return type === 'inline' ? { kind: 'inline' } : { kind: 'unknown', type }
}
