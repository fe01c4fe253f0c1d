/** The files of a stack into a registry, as an OCI artifact (OCI image specification 1.1: artifacts). */
import { TsstackError } from '../errors.ts'
import { findCredentials } from '../registry/docker-config.ts'
import { parseName, splitRegistry } from '../registry/image-name.ts'
import { openRegistry } from '../registry/open-registry.ts'
import { sha256 } from '../registry/registry-reader.ts'
import { readRegistrySettings } from '../registry/registry-settings.ts'
import type { PackedFile } from './pack-stack.ts'
import {
  ANNOTATION,
  ENVIRONMENT_FILE_TYPE,
  PROJECT_TYPE,
  STACK_FILE_TYPE,
} from './stack-artifact.ts'

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json'

type Environment = Readonly<Record<string, string | undefined>>

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  /** Bytes. */
  readonly size: number
  readonly annotations?: Readonly<Record<string, string>>
}

export interface ArtifactTarget {
  readonly registry: string
  readonly repository: string
  readonly tag: string
}

/**
 * Where a stack is published: `repository[:tag]`, with `oci://` in front or without.
 * @throws {INVALID_ARGUMENT} no such name, or one with a digest
 */
export function parseTarget(text: string): ArtifactTarget {
  const { name, tag = 'latest', digest } = parseName(text.replace(/^oci:\/\//, ''))
  if (digest !== undefined)
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot publish as "${text}": a digest is given by what is in it`,
    )
  return { ...splitRegistry(name), tag }
}

/**
 * Sends what the registry lacks. The same files make the same artifact.
 * @returns the digest of its manifest
 * @throws what the registry answers
 */
export async function publishArtifact(
  { registry: host, repository, tag }: ArtifactTarget,
  files: readonly PackedFile[],
  env: Environment,
): Promise<string> {
  const credentials = await findCredentials(env, [host])
  const registry = openRegistry(host, {
    settings: readRegistrySettings(env),
    credentials: credentials[host],
  })
  const send = async (mediaType: string, bytes: Buffer): Promise<Descriptor> => {
    const blob = { digest: sha256(bytes), size: bytes.length }
    const open = async function* (from: number): AsyncGenerator<Buffer> {
      yield await Promise.resolve(bytes.subarray(from))
    }
    await registry.upload(repository, { ...blob, open })
    return { mediaType, ...blob }
  }
  try {
    const config = await send(EMPTY_TYPE, Buffer.from('{}'))
    const layers: Descriptor[] = []
    for (const file of files) {
      const { mediaType, annotations } = describe(file)
      layers.push({ ...(await send(mediaType, file.bytes)), annotations })
    }
    const manifest = {
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      artifactType: PROJECT_TYPE,
      config,
      layers,
    }
    const bytes = Buffer.from(JSON.stringify(manifest))
    await registry.putManifest(repository, tag, { bytes, mediaType: MANIFEST_TYPE })
    return sha256(bytes)
  } finally {
    registry.close()
  }
}

function describe({
  kind,
  name,
}: PackedFile): Required<Pick<Descriptor, 'mediaType' | 'annotations'>> {
  if (kind === 'environment')
    return { mediaType: ENVIRONMENT_FILE_TYPE, annotations: { [ANNOTATION.environmentFile]: name } }
  const more = kind === 'extended' ? { [ANNOTATION.isExtended]: 'true' } : {}
  return { mediaType: STACK_FILE_TYPE, annotations: { [ANNOTATION.file]: name, ...more } }
}
