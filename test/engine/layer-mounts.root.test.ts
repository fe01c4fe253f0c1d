import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLayerDirectory, takesDetachedLayers } from '../../src/engine/layer-mounts.ts'
import { openRoot } from '../../src/engine/root-file-system.ts'
import { openStackUserNamespace } from '../../src/engine/user-namespace.ts'
import { FdScope } from '../../src/kernel/fd-scope.ts'

const RANGE = 0x7000_0000

let scratch: string
let layers: string

beforeEach(() => {
  scratch = mkdtempSync(path.join(os.tmpdir(), 'tsstack-layers-'))
  layers = openLayerDirectory(path.join(scratch, 'layers'))
  for (const name of ['lower', 'upper', 'work']) mkdirSync(path.join(scratch, name))
  writeFileSync(path.join(scratch, 'lower/file'), 'of the image')
})
afterEach(() => {
  openLayerDirectory(layers)
  rmSync(scratch, { recursive: true })
})

function overlay(): Parameters<typeof openRoot>[0] {
  return {
    kind: 'overlay',
    lowerdirs: [path.join(scratch, 'lower')],
    upperdir: path.join(scratch, 'upper'),
    workdir: path.join(scratch, 'work'),
  }
}

function mountsBelowScratch(): string[] {
  const table = readFileSync('/proc/self/mountinfo', 'utf8')
  return table.split('\n').filter((line) => line.includes(` ${scratch}`))
}

describe('layers that are attached, as kernels before 6.15 want them', () => {
  test('make a root, and are gone with the namespace of the stack', () => {
    const userns = openStackUserNamespace(RANGE, layers)
    const scope = new FdScope()
    try {
      const { fd } = openRoot(overlay(), userns, scope)
      expect(readFileSync(`/proc/self/fd/${String(fd)}/file`, 'utf8')).toBe('of the image')
      expect(mountsBelowScratch()).toHaveLength(1)
      userns.close()
      expect(mountsBelowScratch()).toEqual([])
      expect(readdirSync(layers)).toEqual([])
      expect(readFileSync(`/proc/self/fd/${String(fd)}/file`, 'utf8')).toBe('of the image')
    } finally {
      userns.close()
      scope.close()
    }
  })

  test('are swept when a daemon left them, and the image stays', () => {
    const userns = openStackUserNamespace(RANGE, layers)
    userns.layer(path.join(scratch, 'lower'))
    expect(mountsBelowScratch()).toHaveLength(1)
    openLayerDirectory(layers)
    expect(mountsBelowScratch()).toEqual([])
    expect(readdirSync(path.join(scratch, 'lower'))).toEqual(['file'])
  })
})

test.each([
  ['6.18.44-fc', true],
  ['6.15.0', true],
  ['7.0.1', true],
  ['6.14.11', false],
  ['6.12.48+deb13-amd64', false],
  ['5.15.0', false],
])('takesDetachedLayers(%s) is %s', (release, expected) => {
  expect(takesDetachedLayers(release)).toBe(expected)
})
