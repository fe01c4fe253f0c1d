/** Files of the host into running containers, through the daemon's API. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { SyncResponse } from '../../src/api/watch-types.ts'
import type { Service } from '../../src/spec/stack.ts'
import { startDaemonFixture, type DaemonFixture, type StackParts } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const IMAGE = 'host:sh,coreutils,node'
const IDLE = ['sleep', 'infinity']
const service = { image: IMAGE, command: IDLE, init: true }

let daemon: DaemonFixture
let project: string
let counter = 0

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(() => daemon.close())
beforeEach(() => {
  project = path.join(daemon.scratch, `project-${String(counter++)}`)
  mkdirSync(project)
})

function put(file: string, content: string, mode = 0o644): void {
  const place = path.join(project, file)
  mkdirSync(path.dirname(place), { recursive: true })
  writeFileSync(place, content)
  chmodSync(place, mode)
}

/** Syncs paths below the project to the same paths below `target`. */
async function sync(
  stack: string,
  paths: readonly string[],
  target = '/app',
): Promise<SyncResponse> {
  return daemon.client.syncFiles(stack, {
    service: 'web',
    entries: paths.map((below) => ({
      root: project,
      path: below,
      target: path.posix.join(target, below),
    })),
  })
}

async function outcomes(
  stack: string,
  paths: readonly string[],
  target?: string,
): Promise<string[]> {
  const { results } = await sync(stack, paths, target)
  return results.map(({ outcome, message }) => message ?? outcome)
}

async function withStack(
  name: string,
  web: Partial<Service>,
  body: (id: string) => Promise<void>,
  parts: Partial<StackParts> = {},
): Promise<void> {
  await daemon.up(name, { services: { web: { ...service, ...web } }, ...parts })
  try {
    await body((await daemon.container(name, 'web')).id)
  } finally {
    await daemon.down(name, { volumes: true })
  }
}

describe('syncFiles()', () => {
  test('writes content, mode, owner and time of files, whatever directories are missing', async () => {
    await withStack('files', { user: '1000:1001' }, async (id) => {
      put('bin/run.sh', 'echo hello', 0o750)
      utimesSync(path.join(project, 'bin/run.sh'), 1_600_000_000, 1_600_000_000)
      expect(await outcomes('files', ['bin/run.sh'])).toEqual(['written'])
      expect(
        await daemon.sh(id, 'stat -c "%u:%g %a %Y" /app/bin/run.sh; cat /app/bin/run.sh'),
      ).toBe('1000:1001 750 1600000000\necho hello')
      expect(await daemon.sh(id, 'stat -c %u:%g /app/bin; ls -A /app/bin')).toBe(
        '1000:1001\nrun.sh',
      )
      await daemon.sh(id, 'echo more >> /app/bin/run.sh && rm /app/bin/run.sh')
    })
  })

  test('leaves alone what is the same already', async () => {
    await withStack('same', {}, async () => {
      put('a', 'one')
      expect(await outcomes('same', ['a'])).toEqual(['written'])
      expect(await outcomes('same', ['a'])).toEqual(['unchanged'])
      put('a', 'two')
      expect(await outcomes('same', ['a'])).toEqual(['written'])
      put('a', 'two', 0o755)
      expect(await outcomes('same', ['a'])).toEqual(['written'])
    })
  })

  test('follows deletions, and what becomes of another kind', async () => {
    await withStack('kinds', {}, async (id) => {
      put('tree/deep/a', 'a')
      put('b', 'b')
      await sync('kinds', ['tree', 'tree/deep', 'tree/deep/a', 'b'])
      rmSync(path.join(project, 'tree'), { recursive: true })
      rmSync(path.join(project, 'b'))
      put('b/inside', 'now a directory')
      put('tree', 'now a file')
      expect(await outcomes('kinds', ['b', 'b/inside', 'tree', 'tree/deep/a'])).toEqual([
        'written',
        'written',
        'written',
        'unchanged',
      ])
      expect(await daemon.sh(id, 'cat /app/tree /app/b/inside')).toBe('now a filenow a directory')
      rmSync(path.join(project, 'b'), { recursive: true })
      expect(await outcomes('kinds', ['b'])).toEqual(['removed'])
      expect(await daemon.sh(id, 'ls -A /app')).toBe('tree')
    })
  })

  test('copies symlinks as symlinks, and goes through those of the image', async () => {
    await withStack('links', {}, async (id) => {
      await daemon.sh(id, 'mkdir -p /srv/real && ln -s /srv/real /app && ln -s real /srv/near')
      put('a', 'through a link')
      symlinkSync('a', path.join(project, 'link'))
      expect(await outcomes('links', ['a', 'link'])).toEqual(['written', 'written'])
      expect(await outcomes('links', ['a'], '/srv/near')).toEqual(['unchanged'])
      expect(await daemon.sh(id, 'readlink /srv/real/link; cat /srv/real/link')).toBe(
        'a\nthrough a link',
      )
      expect(await outcomes('links', ['link'])).toEqual(['unchanged'])
    })
  })

  test('reads nothing through a symlink of the project that leads out of it', async () => {
    await withStack('secret', {}, async (id) => {
      const outside = path.join(daemon.scratch, 'outside')
      mkdirSync(outside, { recursive: true })
      writeFileSync(path.join(outside, 'key'), 'secret')
      symlinkSync(outside, path.join(project, 'dir'))
      expect(await outcomes('secret', ['dir/key'])).toEqual(['unchanged'])
      expect(await daemon.sh(id, 'ls -A /app 2>/dev/null || true')).toBe('')
      const request = { root: project, path: '../outside/key', target: '/app/key' }
      await expect(
        daemon.client.syncFiles('secret', { service: 'web', entries: [request] }),
      ).rejects.toThrow('Cannot read request')
    })
  })

  test('writes into volumes, with the ids that the container has there', async () => {
    const web: Partial<Service> = {
      user: '1000',
      volumes: [{ type: 'volume', source: 'data', target: '/app' }],
    }
    await withStack(
      'volume',
      web,
      async (id) => {
        put('a/b', 'in a volume')
        expect(await outcomes('volume', ['a', 'a/b'])).toEqual(['written', 'written'])
        expect(await daemon.sh(id, 'stat -c %u:%g /app/a /app/a/b; cat /app/a/b')).toBe(
          '1000:0\n1000:0\nin a volume',
        )
      },
      { volumes: { data: { name: 'volume_data' } } },
    )
  })

  test('writes with the ids of the host where the container has those', async () => {
    await withStack('hostids', { userns_mode: 'host', user: '1000' }, async (id) => {
      put('a', 'x')
      expect(await outcomes('hostids', ['a'])).toEqual(['written'])
      expect(await daemon.sh(id, 'stat -c %u /app/a')).toBe('1000')
    })
  })

  test('does not need a shell, nor rm, nor tar', async () => {
    const bare = {
      image: 'host:node',
      command: ['node', '-e', 'setInterval(() => {}, 1e6)'],
      user: '65534',
    }
    await withStack('bare', bare, async (id) => {
      put('server.js', 'console.log(1)')
      expect(await outcomes('bare', ['server.js'])).toEqual(['written'])
      const read = [
        'node',
        '-p',
        'fs.readFileSync("/app/server.js", "utf8") + fs.statSync("/app/server.js").uid',
      ]
      expect((await daemon.exec(id, read)).stdout.trim()).toBe('console.log(1)65534')
      rmSync(path.join(project, 'server.js'))
      expect(await outcomes('bare', ['server.js'])).toEqual(['removed'])
    })
  })

  test('says of each path why it failed, and does the others', async () => {
    await withStack('fails', { tmpfs: ['/small:size=64k'] }, async (id) => {
      put('small', 'fits')
      put('large', 'x'.repeat(200_000))
      const { results, containers } = await sync('fails', ['large', 'small'], '/small')
      expect(containers).toEqual(['fails-web-1'])
      expect(results).toEqual([
        { target: '/small/large', outcome: 'failed', message: 'fails-web-1: no space left' },
        { target: '/small/small', outcome: 'written' },
      ])
      expect(await daemon.sh(id, 'ls -A /small')).toBe('small')
    })
    await expect(daemon.client.syncFiles('fails', { service: 'web', entries: [] })).rejects.toThrow(
      'Cannot sync to service "web": it has no container',
    )
  })

  test('never shows a part of a file', async () => {
    await withStack('atomic', {}, async (id) => {
      const size = 3_000_000
      put('big', 'a'.repeat(size))
      await sync('atomic', ['big'])
      const reader = daemon.exec(id, [
        'node',
        '-e',
        `const fs = require("fs"); const end = Date.now() + 1500; let bad = 0, n = 0
         while (Date.now() < end) { const b = fs.readFileSync("/app/big"); n++
           if (b.length !== ${String(size)} || b[0] !== b[b.length - 1]) bad++ }
         console.log(JSON.stringify({ bad, many: n > 10 }))`,
      ])
      for (let round = 0; round < 10; round++) {
        put('big', (round % 2 === 0 ? 'b' : 'a').repeat(size))
        await sync('atomic', ['big'])
      }
      expect((await reader).stdout.trim()).toBe('{"bad":0,"many":true}')
    })
  })

  test('writes a thousand files at once', async () => {
    await withStack('many', {}, async (id) => {
      const names = Array.from(
        { length: 1000 },
        (_, index) => `dir${String(index % 10)}/f${String(index)}`,
      )
      for (const name of names) put(name, name)
      const { results } = await sync('many', names)
      expect(results.every(({ outcome }) => outcome === 'written')).toBe(true)
      expect(await daemon.sh(id, 'cat /app/dir*/f* | wc -c')).toBe(String(names.join('').length))
    })
  })
})

describe('a hostile container', () => {
  test('gets nothing written or removed outside of its root', async () => {
    await withStack('hostile', {}, async (id) => {
      const victim = path.join(daemon.scratch, 'victim')
      mkdirSync(path.join(victim, 'sub'), { recursive: true })
      writeFileSync(path.join(victim, 'sub/keep'), 'keep')
      const before = lstatSync(path.join(victim, 'sub/keep')).mtimeMs
      const up = '../'.repeat(40)
      await daemon.sh(id, `mkdir /app && ln -s ${up}${victim} /app/up && ln -s ${victim} /app/abs`)
      await daemon.sh(id, 'ln -s /proc/1/root/proc/self/root /app/magic')
      put('up/sub/keep', 'evil')
      put('abs/sub/keep', 'evil')
      put('magic/x', 'evil')
      await sync('hostile', ['up/sub/keep', 'abs/sub/keep', 'magic/x'])
      rmSync(path.join(project, 'up'), { recursive: true })
      rmSync(path.join(project, 'abs'), { recursive: true })
      await sync('hostile', ['up/sub/keep', 'abs/sub/keep', 'up/sub', 'abs/sub', 'up', 'abs'])
      expect(lstatSync(path.join(victim, 'sub/keep')).mtimeMs).toBe(before)
    })
  })

  test('gains nothing by swapping directories for symlinks meanwhile', async () => {
    await withStack('swap', {}, async (id) => {
      const victim = path.join(daemon.scratch, 'swapped')
      mkdirSync(victim, { recursive: true })
      writeFileSync(path.join(victim, 'keep'), 'keep')
      // Swaps /app/d between a directory and a symlink out of the root, as fast as it can.
      const attack = `const fs = require("fs"); fs.mkdirSync("/app/d", { recursive: true }); fs.symlinkSync("${victim}", "/app/l")
        const end = Date.now() + 2000
        while (Date.now() < end) for (const [a, b] of [["d", "x"], ["l", "d"], ["d", "l"], ["x", "d"]])
          try { fs.renameSync("/app/" + a, "/app/" + b) } catch {}`
      const attacking = daemon.exec(id, ['node', '-e', attack])
      const end = performance.now() + 1800
      while (performance.now() < end) {
        put('d/keep', String(Math.random()))
        await sync('swap', ['d', 'd/keep'])
        rmSync(path.join(project, 'd'), { recursive: true })
        await sync('swap', ['d/keep', 'd'])
      }
      await attacking
      expect(lstatSync(path.join(victim, 'keep')).size).toBe(4)
    })
  })
})

describe('the journal', () => {
  /** While it is open, what is synced is kept in mind. */
  async function watching(stack: string, body: () => Promise<void>): Promise<void> {
    const leave = new AbortController()
    const stream = daemon.client.openWatch(stack, leave.signal)
    expect((await stream.next()).value).toEqual([{ type: 'watching' }])
    try {
      await body()
    } finally {
      leave.abort()
      await stream.next().catch(() => undefined)
    }
  }

  const web = (environment: Record<string, string>, more: Partial<Service> = {}): Service => ({
    ...service,
    // Says at once what its program can see when it starts.
    command: ['sh', '-c', 'cat /app/a /data/a 2>/dev/null; exec sleep infinity'],
    environment,
    ...more,
  })

  test('gives the files to a replacement before its program starts, and to a new replica', async () => {
    await watching('journal', async () => {
      await daemon.up('journal', { services: { web: web({ N: '1' }) } })
      put('a', 'first\n')
      await sync('journal', ['a'])
      put('a', 'newest\n')
      const before = await daemon.container('journal', 'web')
      await daemon.up('journal', { services: { web: web({ N: '2' }) } })
      const after = await daemon.container('journal', 'web')
      expect(after.id).not.toBe(before.id)
      await eventually('the new program to see it', async () =>
        (await daemon.logs('journal')).includes('newest'),
      )
      await daemon.up('journal', { services: { web: web({ N: '2' }) } }, { scale: { web: 3 } })
      for (const { id } of await daemon.client.containers({ stack: 'journal' }))
        expect(await daemon.sh(id, 'cat /app/a')).toBe('newest')
      put('a', 'to all\n')
      expect((await sync('journal', ['a'])).containers).toHaveLength(3)
      for (const { id } of await daemon.client.containers({ stack: 'journal' }))
        expect(await daemon.sh(id, 'cat /app/a')).toBe('to all')
    })
    await daemon.down('journal')
  })

  test('survives restarts, also in a tmpfs, and with a read-only root', async () => {
    await watching('restart', async () => {
      await daemon.up('restart', { services: { web: web({}, { tmpfs: ['/data'] }) } })
      put('a', 'kept')
      await sync('restart', ['a'], '/data')
      await sync('restart', ['a'])
      for await (const events of daemon.client.lifecycle('restart', {
        action: 'restart',
        timeoutSeconds: 0,
      }))
        expect(events).not.toContain('failed')
      const { id } = await daemon.container('restart', 'web')
      expect(await daemon.sh(id, 'cat /app/a /data/a')).toBe('keptkept')
      await daemon.up('restart', {
        services: { web: web({}, { tmpfs: ['/data'], read_only: true }) },
      })
      const replaced = await daemon.container('restart', 'web')
      expect(await daemon.sh(replaced.id, 'cat /app/a /data/a')).toBe('keptkept')
    })
    await daemon.down('restart')
  })

  test('is forgotten when nobody watches any more', async () => {
    await watching('forget', async () => {
      await daemon.up('forget', { services: { web: web({ N: '1' }) } })
      put('a', 'x')
      await sync('forget', ['a'])
    })
    renameSync(path.join(project, 'a'), path.join(project, 'b'))
    await eventually('the end of the journal', async () => {
      await daemon.up('forget', { services: { web: web({}) } }, { forceRecreate: true })
      const { id } = await daemon.container('forget', 'web')
      return (await daemon.exec(id, ['ls', '/app/a'])).exitCode !== 0
    })
    await daemon.down('forget')
  })
})
