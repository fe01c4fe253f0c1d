/** WORKDIR: a directory that is made, and where what follows begins. */
import path from 'node:path'
import { componentsOf, CopyTarget } from './copy-files.ts'
import type { Instruction } from './dockerfile/instruction.ts'
import { addLayer, type StageBuild } from './layer-step.ts'
import { change } from './stage-state.ts'
import { stepKey } from './step-key.ts'
import { withDraft, withLayers } from './tree-access.ts'

/** A path of the image, relative to its working directory. */
export function absolutePath(written: string, workingDir: string | undefined): string {
  return path.posix.resolve('/', workingDir ?? '/', written)
}

/** @returns whether what it made was known already */
export async function workdirStep(
  stage: StageBuild,
  instruction: Instruction & { readonly kind: 'workdir' },
): Promise<boolean> {
  const { build, state, expand } = stage
  const directory = absolutePath(
    expand(instruction.value, instruction.place),
    state.config.workingDir,
  )
  const { layers } = state
  change(state, { workingDir: directory })
  if (await isThere(stage, directory)) {
    state.history.push({ created: state.created, createdBy: instruction.text, isEmpty: true })
    return true
  }
  return addLayer(stage, {
    instruction,
    key: stepKey(layers, { kind: 'workdir', directory, epoch: build.epoch }),
    layers,
    owner: 0,
    make: (draft) =>
      withDraft(draft, (rootFd) => {
        const writer = new CopyTarget(`/proc/self/fd/${rootFd}`, {})
        try {
          writer.makeDirectories(componentsOf(directory))
        } finally {
          writer.close()
        }
        return Promise.resolve()
      }),
  })
}

async function isThere({ build, state }: StageBuild, directory: string): Promise<boolean> {
  if (directory === '/') return true
  return withLayers(build.host.builds, state.layers, (rootFd) => {
    const tree = new CopyTarget(`/proc/self/fd/${rootFd}`, {})
    try {
      return Promise.resolve(tree.isDirectory(componentsOf(directory)))
    } finally {
      tree.close()
    }
  })
}
