/** `build --print`: what would be built, in the form of a bake file, as `docker compose build --print` writes it. */
import type { BuildOptions } from '../api/build-types.ts'
import { dependencyGraph, selectServices } from '../planner/dependency-graph.ts'
import { imageNameOf } from '../planner/image-name.ts'
import type { Stack } from '../spec/stack.ts'

function targetOf(stack: Stack, name: string, options: BuildOptions): object | undefined {
  const build = stack.services[name]?.build
  if (build === undefined) return undefined
  const args = { ...build.args, ...options.args }
  const tags = [...new Set([imageNameOf(stack, name), ...(build.tags ?? [])])]
  return {
    context: build.context,
    ...(build.additional_contexts === undefined ? {} : { contexts: build.additional_contexts }),
    ...(build.dockerfile === undefined ? {} : { dockerfile: build.dockerfile }),
    ...(build.dockerfile_inline === undefined
      ? {}
      : { 'dockerfile-inline': build.dockerfile_inline }),
    ...(Object.keys(args).length === 0 ? {} : { args }),
    ...(build.labels === undefined ? {} : { labels: build.labels }),
    tags,
    ...(build.target === undefined ? {} : { target: build.target }),
    ...(options.noCache === true || build.no_cache === true ? { 'no-cache': true } : {}),
    ...(options.pull === true || build.pull === true ? { pull: true } : {}),
  }
}

export function buildPlanText(stack: Stack, options: BuildOptions): string {
  const noDeps = options.withDependencies !== true
  const chosen = [...selectServices(dependencyGraph(stack), options.services ?? [], { noDeps })]
  const targets = chosen.sort().flatMap((name): [string, object][] => {
    const target = targetOf(stack, name, options)
    return target === undefined ? [] : [[name, target]]
  })
  const group = { default: { targets: targets.map(([name]) => name) } }
  return `${JSON.stringify({ group, target: Object.fromEntries(targets) }, undefined, 2)}\n`
}
