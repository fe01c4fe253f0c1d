/** Looks at the directory of an image store from outside: is all that it shows whole, and is there nothing beside it? */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'

interface Referenced {
  readonly layers: Set<string>
  readonly blobs: Set<string>
}

function names(...parts: string[]): string[] {
  const directory = path.join(...parts)
  return fs.existsSync(directory) ? fs.readdirSync(directory).sort() : []
}

function json(...parts: string[]): Record<string, unknown> {
  return JSON.parse(fs.readFileSync(path.join(...parts), 'utf8')) as Record<string, unknown>
}

const hex = (digest: unknown): string => String(digest).slice('sha256:'.length)

function wrongBlobs(root: string): string[] {
  const directory = path.join(root, 'blobs/sha256')
  return names(directory).flatMap((name) => {
    const digest = createHash('sha256')
      .update(fs.readFileSync(path.join(directory, name)))
      .digest('hex')
    return digest === name ? [] : [`blob ${name} has digest ${digest}`]
  })
}

/** Below a directory; links are not followed. */
function found(directory: string, ...words: readonly string[]): string[] {
  const output = execFileSync('find', [directory, ...words], { encoding: 'utf8' })
  return output.split('\n').filter((line) => line !== '')
}

/** Bytes of the regular files, each once. */
function bytesOf(tree: string): number {
  const files = found(tree, '-type', 'f', '-printf', '%i %s\n')
  return [...new Set(files)].reduce((total, line) => total + Number(line.split(' ')[1]), 0)
}

function wrongLayers(root: string): string[] {
  return names(root, 'layers').flatMap((layer) => {
    const home = path.join(root, 'layers', layer)
    if (!fs.existsSync(path.join(home, 'layer.json'))) return [`layer ${layer} has no record`]
    const { fileBytes, diffId } = json(home, 'layer.json')
    const bytes = bytesOf(path.join(home, 'tree'))
    return hex(diffId) === layer && bytes === fileBytes
      ? []
      : [`layer ${layer} has ${String(bytes)} bytes instead of ${String(fileBytes)}`]
  })
}

/** What images, pulls and the cache of builds need; and what of it is missing for an image. */
function referencedBy(root: string): Referenced & { readonly missing: string[] } {
  const [layers, blobs] = [new Set<string>(), new Set<string>()]
  const missing: string[] = []
  const need = (what: string, kept: boolean): void => {
    if (!kept) missing.push(what)
  }
  for (const file of names(root, 'images')) {
    const { id, digest, layers: diffIds } = json(root, 'images', file)
    for (const diffId of diffIds as string[]) {
      layers.add(hex(diffId))
      need(`layer ${diffId} of ${file}`, fs.existsSync(path.join(root, 'layers', hex(diffId))))
    }
    for (const blob of [id, digest]) {
      blobs.add(hex(blob))
      need(`blob ${String(blob)}`, fs.existsSync(path.join(root, 'blobs/sha256', hex(blob))))
    }
    const manifest = json(root, 'blobs/sha256', hex(digest)) as { layers: { digest: string }[] }
    manifest.layers.forEach(({ digest: packed }, index) => {
      blobs.add(hex(packed))
      const isUnpacked = packed === (diffIds as string[])[index]
      const isHere = fs.existsSync(path.join(root, 'blobs/sha256', hex(packed)))
      need(`blob ${packed} of ${file}`, isUnpacked || isHere)
    })
  }
  for (const file of names(root, 'pulls')) {
    const lease = json(root, 'pulls', file) as { blobs: string[]; layers: string[] }
    for (const blob of lease.blobs) blobs.add(hex(blob))
    for (const layer of lease.layers) layers.add(hex(layer))
  }
  for (const file of names(root, 'build-cache'))
    layers.add(hex(json(root, 'build-cache', file)['diffId']))
  return { layers, blobs, missing }
}

/** What an image shows and lacks, or shows and is damaged. The store may be open, but nothing may be under way in it. */
export function damageOf(root: string): string[] {
  return [...wrongBlobs(root), ...wrongLayers(root), ...referencedBy(root).missing]
}

/** What nothing needs. */
export function orphansOf(root: string): string[] {
  const { layers, blobs } = referencedBy(root)
  return [
    ...names(root, 'tmp').map((name) => `draft ${name}`),
    ...found(root, '-path', '*/layers', '-prune', '-o', '-name', '?*.tmp', '-print'),
    ...names(root, 'drafts/overlay').flatMap((name) => (name === '.tmp' ? [] : [`build ${name}`])),
    ...names(root, 'layers').flatMap((name) => (layers.has(name) ? [] : [`layer ${name}`])),
    ...names(root, 'blobs/sha256').flatMap((name) => (blobs.has(name) ? [] : [`blob ${name}`])),
    ...names(root, 'partial').flatMap((name) => (blobs.has(name) ? [] : [`partial ${name}`])),
  ]
}
