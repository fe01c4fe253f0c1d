/** Image archives that every engine reads: an OCI layout that is what `docker save` writes, too. */
import { execa } from 'execa'
import { createHash } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

export interface LayerFile {
  /** As it is packed. */
  readonly file: string
  /** Of the tar file, before it was packed. */
  readonly diffId: string
  readonly packing: Packing
}

export const PACKINGS = ['none', 'gzip', 'zstd'] as const
export type Packing = (typeof PACKINGS)[number]
export const PACKING_TITLES = { none: 'plain', gzip: 'gzip', zstd: 'zstd' }

const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar'

export function sha256Of(file: string): string {
  return `sha256:${createHash('sha256').update(readFileSync(file)).digest('hex')}`
}

/** Content by its digest, below the directory of a layout. */
class Blobs {
  readonly #directory: string

  constructor(layout: string) {
    this.#directory = path.join(layout, 'blobs/sha256')
    mkdirSync(this.#directory, { recursive: true })
  }

  link(file: string): { digest: string; size: number } {
    const digest = sha256Of(file)
    const target = path.join(this.#directory, digest.slice('sha256:'.length))
    rmSync(target, { force: true })
    linkSync(file, target)
    return { digest, size: readFileSync(file).length }
  }

  put(content: unknown): { digest: string; size: number } {
    const file = path.join(this.#directory, 'draft')
    writeFileSync(file, JSON.stringify(content))
    try {
      return this.link(file)
    } finally {
      rmSync(file)
    }
  }
}

function configOf(layers: readonly LayerFile[]): unknown {
  return {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Env: ['PATH=/bin:/usr/bin'], Cmd: ['sh'] },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
  }
}

/** @param file - the archive to write @param layers - the lowest first */
export async function writeImageArchive(
  file: string,
  { tag, layers }: { readonly tag: string; readonly layers: readonly LayerFile[] },
): Promise<void> {
  const layout = `${file}.layout`
  const blobs = new Blobs(layout)
  const put = (name: string, content: unknown): void => {
    writeFileSync(path.join(layout, name), JSON.stringify(content))
  }
  const config = blobs.put(configOf(layers))
  const packed = layers.map((layer) => ({
    mediaType: layer.packing === 'none' ? LAYER_TYPE : `${LAYER_TYPE}+${layer.packing}`,
    ...blobs.link(layer.file),
  }))
  const manifest = blobs.put({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: packed,
  })
  const nameOf = ({ digest }: { digest: string }): string =>
    `blobs/sha256/${digest.slice('sha256:'.length)}`
  put('oci-layout', { imageLayoutVersion: '1.0.0' })
  put('index.json', {
    schemaVersion: 2,
    manifests: [
      {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        ...manifest,
        annotations: { 'io.containerd.image.name': tag, 'org.opencontainers.image.ref.name': tag },
      },
    ],
  })
  put('manifest.json', [{ Config: nameOf(config), RepoTags: [tag], Layers: packed.map(nameOf) }])
  await execa('tar', ['--create', '--file', file, '--directory', layout, '.'])
  rmSync(layout, { recursive: true })
}
