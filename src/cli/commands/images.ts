import type { ContainerSummary, ImageSummary } from '../../api/types.ts'
import type { Command } from '../command.ts'
import { humanDuration, humanSize } from '../human.ts'
import { splitReference } from '../image-reference.ts'
import { IMAGE_TITLES } from '../image-tables.ts'
import { FORMAT_FLAG, QUIET_FLAG, renderListing } from '../listing.ts'
import { selectContainers } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'
import { formatTable } from '../table.ts'

const SHORT_ID = 12

interface ImageRow extends Readonly<Record<string, unknown>> {
  readonly ID: string
  readonly ContainerName: string
  readonly Repository: string
  readonly Tag: string
  readonly Platform: string
  readonly Size: number
  readonly Created: string
}

function platform(): string {
  return process.arch === 'arm64' ? 'linux/arm64' : 'linux/amd64'
}

/** One row a container. Pure. */
export function toImageRows(
  containers: readonly ContainerSummary[],
  images: readonly ImageSummary[],
): readonly ImageRow[] {
  return containers.map((container) => {
    const image = images.find((candidate) => candidate.id === container.imageId)
    const [repository, tag] = splitReference(container.image)
    return {
      ID: container.imageId,
      ContainerName: container.name,
      Repository: repository,
      Tag: tag,
      Platform: platform(),
      Size: image?.sizeBytes ?? 0,
      Created: image?.createdAt ?? '',
    }
  })
}

function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, SHORT_ID)
}

function formatImages(rows: readonly ImageRow[], nowMs: number, width?: number): string {
  return formatTable(
    ['CONTAINER', 'REPOSITORY', 'TAG', 'PLATFORM', 'IMAGE ID', 'SIZE', 'CREATED'],
    rows.map((row) => [
      row.ContainerName,
      row.Repository,
      row.Tag === '' ? '<none>' : row.Tag,
      row.Platform,
      shortId(row.ID),
      humanSize(row.Size),
      row.Created === '' ? 'N/A' : `${humanDuration(nowMs - Date.parse(row.Created))} ago`,
    ]),
    width,
  )
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'List the images that the containers use',
  flags: [{ ...QUIET_FLAG, help: 'Only IDs' }, FORMAT_FLAG],
  examples: [['tsstack images', 'Image, size and age for each container']],
  async run(context) {
    const { output, positional } = context
    const stack = await resolveStackName(context)
    const client = await context.client()
    const [containers, images] = await Promise.all([
      selectContainers({ context, client, stack }, positional, { all: true }),
      client.images(),
    ])
    const rows = toImageRows(containers, images)
    output.write(
      await renderListing(context, {
        rows,
        jsonLines: false,
        titles: { ...IMAGE_TITLES, ContainerName: 'CONTAINER' },
        quiet: [...new Set(rows.map((row) => row.ID.replace(/^sha256:/, '')))],
        table: (width) => formatImages(rows, Date.now(), width),
      }),
    )
    return 0
  },
}
