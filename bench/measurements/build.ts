/** One Dockerfile, of two stages with three `RUN`: with nothing cached, and with everything. */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { ImageEngine } from '../engines/image-engine.ts'
import { IMAGE_TAG } from '../image.ts'
import { timesBetterThan, type Measurement } from './measurement.ts'

const FILES = 200
const FILE_BYTES = 10_000
const DOCKERFILE = `FROM ${IMAGE_TAG} AS build
WORKDIR /src
COPY . .
RUN cat files/* > all
RUN mkdir out && sha256sum all > out/sum

FROM ${IMAGE_TAG}
COPY --from=build /src/out /app
RUN echo ready > /app/state
ENV MODE=bench
CMD ["cat", "/app/state"]
`

function writeContext(top: string): string {
  const context = path.join(top, 'build-context')
  mkdirSync(path.join(context, 'files'), { recursive: true })
  writeFileSync(path.join(context, 'Dockerfile'), DOCKERFILE)
  for (let index = 0; index < FILES; index++) {
    const content = `${String(index)}\n`.repeat(FILE_BYTES).slice(0, FILE_BYTES)
    writeFileSync(path.join(context, 'files', String(index)), content)
  }
  return context
}

/** @param archive - of the base image */
export function buildOf(top: string, archive: string): Measurement<ImageEngine> {
  const context = writeContext(top)
  const goal = timesBetterThan('best', 1)
  return {
    id: 'build',
    rounds: 5,
    rows: [
      { id: 'build-cold', title: '`build` of a Dockerfile, nothing cached', unit: 'ms', goal },
      { id: 'build-cached', title: '`build` again, all cached', unit: 'ms', goal },
    ],
    async measure({ sandbox, images }) {
      if (images.build === undefined) return undefined
      await sandbox.run(images.clear)
      await sandbox.run(images.load(archive, IMAGE_TAG))
      const cold = await sandbox.run(images.build(context))
      const cached = await sandbox.run(images.build(context))
      return { 'build-cold': cold.wallMs, 'build-cached': cached.wallMs }
    },
  }
}
