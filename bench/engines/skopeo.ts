/** Skopeo, which copies images into the storage of Podman: out of the machine, or a debootstrapped tree. */
import { existsSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { Sandbox } from '../sandbox.ts'
import type { EngineSetup } from './engine.ts'
import type { ImageCommands, ImageEngine } from './image-engine.ts'
import { PATH, writeConfiguration } from './podman.ts'

export interface SkopeoOptions extends EngineSetup {
  /** Default: the machine's own root. */
  readonly tree?: string
}

/** @returns undefined when there is no skopeo */
export async function openSkopeo({
  tree,
  probes,
  top,
  work,
}: SkopeoOptions): Promise<ImageEngine | undefined> {
  if (!existsSync(path.join(tree ?? '/', 'usr/bin/skopeo'))) return undefined
  mkdirSync(work, { recursive: true })
  const sandbox = new Sandbox({
    name: 'tsstack-bench-skopeo',
    probes,
    work: top,
    containerCgroups: [],
    environment: { PATH, HOME: work, ...writeConfiguration(work) },
    ...(tree === undefined ? {} : { tree }),
  })
  await sandbox.open()
  const { output } = await sandbox.run(['skopeo', '--version'])
  const version = /[\d.]+/.exec(output)?.[0] ?? '?'
  const images = imageCommands(path.join(work, 'storage'))
  return { id: 'skopeo', title: `skopeo ${version}`, sandbox, images, close: () => sandbox.close() }
}

/** It removes no image from a storage: the storage goes. */
function imageCommands(storage: string): ImageCommands {
  const copy = ['skopeo', '--insecure-policy', 'copy', '--quiet']
  return {
    clear: ['sh', '-c', 'umount --lazy "$0/overlay" 2>&-; rm -rf "$0"', storage],
    load: (archive, tag) => [...copy, `oci-archive:${archive}`, `containers-storage:${tag}`],
    pull: (reference) => [
      ...[...copy, '--src-tls-verify=false'],
      ...[`docker://${reference}`, `containers-storage:${reference}`],
    ],
  }
}
