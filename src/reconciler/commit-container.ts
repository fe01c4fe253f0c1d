/** A container's changes as a layer on its image: `commit`. */
import type { CommitRequest } from '../api/file-types.ts'
import { applyChanges } from '../builder/apply-changes.ts'
import { change, stateFromImage } from '../builder/stage-state.ts'
import type { ContainerConfig } from '../engine/container-config.ts'
import type { Hold } from '../engine/images/holds.ts'
import { HOST_ARCHITECTURE, type Digest, type ImageConfig } from '../engine/images/image.ts'
import { parseTag } from '../engine/images/reference.ts'
import { TsstackError } from '../errors.ts'
import { emitContainerEvent } from './container-event.ts'
import type { Context } from './context.ts'
import { requireContainer } from './find-container.ts'
import { originOf } from './image-origin.ts'
import { pauseContainer, unpauseContainer } from './stop-container.ts'

/**
 * Makes an image of what a container has written over its own; what lies in volumes and other mounts is no part of it.
 * @throws {FAILED_PRECONDITION} it was never started; {INVALID_ARGUMENT} a change is no instruction, the name is none
 */
export async function commitContainer(
  context: Context,
  id: string,
  { reference, author, message, changes, pause }: CommitRequest,
): Promise<{ readonly id: string }> {
  const { config } = requireContainer(context, id)
  const base = context.images.inspect(config.image.id)
  const state = stateFromImage(base, originOf(context, base))
  change(state, configurationOf(config, base.config))
  applyChanges(state, changes) // before anything is made
  const names = reference === undefined ? [] : [parseTag(reference)]
  const hold = context.images.builds.lease()
  try {
    state.layers.push(await context.locks.run(id, () => importLayer(context, id, { pause, hold })))
    const created = new Date().toISOString()
    const comment = message === undefined ? {} : { comment: message }
    state.history.push({ created, createdBy: config.argv.join(' '), ...comment })
    const image = await context.images.builds.addImage(
      {
        architecture: HOST_ARCHITECTURE,
        os: 'linux',
        created,
        config: state.config,
        layers: state.layers,
      },
      {
        bases: [base],
        origin: { history: state.history, ...authorOf(author ?? state.author) },
        names,
      },
    )
    emitContainerEvent(context, requireContainer(context, id), 'commit', { image: image.id })
    return { id: image.id }
  } finally {
    hold.release()
  }
}

/** Paused meanwhile, so that the layer is of one moment. */
async function importLayer(
  context: Context,
  id: string,
  { pause, hold }: { readonly pause: boolean; readonly hold: Hold },
): Promise<Digest> {
  const { state, config } = requireContainer(context, id)
  if (!context.snapshotter.has(id))
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot commit container "${config.name}": it was never started`,
    )
  const holds = pause && state === 'running'
  if (holds) await pauseContainer(context, id, { briefly: true })
  try {
    return await context.images.importChanges(context.snapshotter.content(id), hold)
  } finally {
    if (holds) unpauseContainer(context, id)
  }
}

/** What the container runs becomes what the image runs; labels of the engine and the stack stay behind. */
function configurationOf(
  { argv, environment, workingDir, user }: ContainerConfig,
  { entrypoint, labels }: ImageConfig,
): Partial<ImageConfig> {
  const keeps = entrypoint?.every((word, index) => argv[index] === word) === true
  const command = keeps ? { entrypoint, cmd: argv.slice(entrypoint.length) } : { cmd: argv }
  return {
    env: environment,
    ...command,
    workingDir,
    labels,
    ...(user === undefined || user === '' ? {} : { user }),
  }
}

function authorOf(author: string | undefined): { readonly author?: string } {
  return author === undefined ? {} : { author }
}
