/**
 * `dir:` on a plain root file system, such as debootstrap makes: one layer with the tree as it is, ids kept. A directory
 * is taken for a containers/image layout if it has `manifest.json` and `version`, as that transport always writes;
 * otherwise it is a root file system. Devices and sockets are left out: containers get their own /dev.
 */
import fs from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { lstatIfThere } from './host-file.ts'
import { HOST_ARCHITECTURE, type Image } from './image.ts'
import { buildLayer } from './layer-builder.ts'
import { addBuiltImage, type StoreParts } from './store-parts.ts'
import { walkTree } from './tree-entries.ts'

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Whether `dir:` means the files themselves. @throws {NOT_FOUND} */
export function isRootFileSystem(directory: string): boolean {
  const stats = lstatIfThere(`${directory}/`)
  if (stats?.isDirectory() !== true) {
    throw new TsstackError('NOT_FOUND', `Cannot open image directory "${directory}": there is none`)
  }
  return !['manifest.json', 'version'].every((name) =>
    lstatIfThere(path.join(directory, name))?.isFile(),
  )
}

/** Imports a tree as an image of one layer. */
export async function resolveRootFileSystem(
  parts: StoreParts,
  directory: string,
  canonical: string,
): Promise<Image> {
  const root = fs.realpathSync(directory)
  if (root === '/') {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      'Cannot import root file system "/": it is the host itself',
    )
  }
  const { entries, inputs } = await walkTree(root)
  const layer = await parts.layers.make((tree) => buildLayer(entries, tree))
  const newest = entries.reduce((latest, { mtime }) => Math.max(latest, mtime), 0)
  const hasShell = ['bin/sh', 'usr/bin/sh'].some((shell) => lstatIfThere(path.join(root, shell)))
  const image = addBuiltImage(
    parts,
    {
      architecture: HOST_ARCHITECTURE,
      os: 'linux',
      created: new Date(newest * 1000).toISOString().replace('.000Z', 'Z'),
      config: {
        ...{ env: { PATH }, exposedPorts: [], volumes: [], labels: {} },
        ...(hasShell ? { cmd: ['sh'] } : {}),
      },
    },
    [layer],
  )
  await parts.records.setReference(canonical, image.id)
  parts.records.setSource({ reference: canonical, imageId: image.id, inputs: [...inputs] })
  return image
}
