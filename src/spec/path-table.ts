/**
 * Rules by path. A table is a trie that is walked along with the tree, so a rule is found in the time of one map look-up
 * per level however many rules there are, and two rules for one path cannot both stand in it.
 */
export interface PathTable<T> {
  readonly rule: T | undefined
  readonly children: ReadonlyMap<string, PathTable<T>>
  /** What follows `*`: any key, or any item of a list. */
  readonly any: PathTable<T> | undefined
}

interface Growing<T> {
  rule: T | undefined
  readonly children: Map<string, Growing<T>>
  any: Growing<T> | undefined
}

function grow<T>(): Growing<T> {
  return { rule: undefined, children: new Map(), any: undefined }
}

function descend<T>(node: Growing<T>, segment: string): Growing<T> {
  if (segment === '*') {
    node.any ??= grow()
    return node.any
  }
  let next = node.children.get(segment)
  if (next === undefined) {
    next = grow()
    node.children.set(segment, next)
  }
  return next
}

/**
 * Builds a table from pairs of patterns and a rule; a pattern is `services.*.build.args`, several are parted by spaces.
 * @throws {Error} when a pattern occurs twice (a mistake in the table)
 */
export function pathTable<T>(
  rules: readonly (readonly [patterns: string, rule: T])[],
): PathTable<T> {
  const root = grow<T>()
  for (const [patterns, rule] of rules) {
    for (const pattern of patterns.trim().split(/\s+/)) {
      const node = pattern.split('.').reduce((at, segment) => descend(at, segment), root)
      if (node.rule !== undefined)
        throw new Error(`Cannot build a path table: "${pattern}" is there twice`)
      node.rule = rule
    }
  }
  return root
}

/** The table below a key or an item. */
export function below<T>(
  table: PathTable<T> | undefined,
  segment: string,
): PathTable<T> | undefined {
  return table?.children.get(segment) ?? table?.any
}
