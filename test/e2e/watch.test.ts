/** examples/dev as its user lives with it: each save arrives, edits of the stack file are carried out, mistakes in it do no harm. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'
import { tryExample, type CommandLine, type RunningCommand } from './command-line.ts'

let daemon: DaemonFixture
beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(() => daemon.close())

async function page(tsstack: CommandLine, text: string): Promise<void> {
  await eventually(`"${text}" on the page`, async () =>
    (await tsstack.curl('127.0.0.1:8083').catch(() => '')).includes(text),
  )
}

/** With `tsstack WORDS` at work in a copy of the example, once it watches and the server answers. */
async function watching(
  words: string,
  body: (tsstack: CommandLine, watch: RunningCommand) => Promise<void>,
): Promise<void> {
  await tryExample('dev', daemon, async (tsstack) => {
    const watch = tsstack.start(words)
    try {
      await watch.untilOutput('Watch enabled')
      await page(tsstack, 'Hello, page one of version 1')
      await body(tsstack, watch)
    } catch (error) {
      throw new Error(`${String(error)}\noutput of ${words}:\n${watch.output()}`, { cause: error })
    } finally {
      watch.signal('SIGINT')
      await watch.exitCode
    }
  })
}

test('puts each save into the container, and does what its rule says', async () => {
  await watching('watch', async (tsstack, watch) => {
    const [id] = await tsstack.ids('web')
    tsstack.edit('app/public/index.html', 'page one', 'page two')
    await page(tsstack, 'page two of version 1')
    await watch.untilOutput(
      'app/public/index.html → web develop.watch[0] → sync /app/public/index.html',
    )

    tsstack.edit('app/config/greeting.json', 'Hello', 'Good morning')
    await page(tsstack, 'Good morning, page two')
    await watch.untilOutput('app/config/greeting.json → web develop.watch[2] → ran node')

    tsstack.edit('app/server.mjs', 'version 1', 'version 2')
    await page(tsstack, 'Good morning, page two of version 2')
    await watch.untilOutput('app/server.mjs → web develop.watch[1] → restarted web')
    expect(await tsstack.ids('web')).toEqual([id])
  })
})

test('follows new, renamed, removed and ignored files, and trees of them', async () => {
  await watching('watch', async (tsstack) => {
    const [id = ''] = await tsstack.ids('web')
    const at = (name: string): string => path.join(tsstack.directory, 'app/public', name)
    const list = async (): Promise<string> => {
      const script = `console.log(fs.readdirSync("/app/public", { recursive: true }).sort().join(" "))`
      return (await daemon.exec(id, ['node', '-e', script])).stdout.trim()
    }
    const shows = (names: string): Promise<unknown> =>
      eventually(names, async () => (await list()) === names)
    await shows('index.html')
    writeFileSync(at('.index.html.swp'), 'of vim')
    writeFileSync(at('x.draft.html'), 'not yet')
    mkdirSync(at('a/b/c'), { recursive: true })
    writeFileSync(at('a/b/c/deep.txt'), 'deep')
    await shows('a a/b a/b/c a/b/c/deep.txt index.html')
    renameSync(at('a'), at('z'))
    await shows('index.html z z/b z/b/c z/b/c/deep.txt')
    rmSync(at('z'), { recursive: true })
    await shows('index.html')
    for (let index = 0; index < 1000; index++) writeFileSync(at(`many-${String(index)}`), 'x')
    await eventually('a thousand files', async () => (await list()).split(' ').length === 1001)
  })
})

test('carries out edits of the stack file, and harms nothing where one is wrong', async () => {
  await watching('watch', async (tsstack, watch) => {
    const [id] = await tsstack.ids('web')
    tsstack.edit('app/public/index.html', 'page one', 'kept over replacement')
    await page(tsstack, 'kept over replacement')

    tsstack.edit('stack.yaml', '1000:1000', '1000:1000\n    imagge: host:sh')
    await watch.untilOutput("the stack file can't be used; everything runs on as it is")
    await watch.untilOutput('stack.yaml:')
    await watch.untilOutput('imagge')
    tsstack.edit('app/public/index.html', 'kept over', 'Kept over')
    await page(tsstack, 'Kept over replacement')

    tsstack.edit('stack.yaml', '\n    imagge: host:sh', '\n    mem_limit: 200m')
    await watch.untilOutput('the stack file has changed')
    await eventually('the new limit', async () =>
      JSON.stringify(await daemon.client.container(id ?? '')).includes(String(200 << 20)),
    )
    expect(await tsstack.ids('web')).toEqual([id])

    tsstack.edit('stack.yaml', 'mem_limit: 200m', 'environment: { MODE: two }')
    await eventually('a replacement', async () => {
      const ids = await tsstack.ids('web')
      return ids.length === 1 && ids[0] !== id
    })
    await page(tsstack, 'Kept over replacement')

    tsstack.edit(
      'stack.yaml',
      '      watch:',
      '      watch:\n        - { path: ./more, action: sync, target: /more }',
    )
    mkdirSync(path.join(tsstack.directory, 'more'))
    await watch.untilOutput('nothing is to be done')
    await eventually('a file by the new rule', async () => {
      writeFileSync(path.join(tsstack.directory, 'more/x'), String(Math.random()))
      const [replacement = ''] = await tsstack.ids('web')
      return (
        (await daemon.exec(replacement, ['node', '-e', 'fs.statSync("/more/x")'])).exitCode === 0
      )
    })
  })
})

test('goes on when the daemon has been killed', async () => {
  await watching('watch', async (tsstack, watch) => {
    await daemon.kill()
    await daemon.start()
    await watch.untilOutput('the daemon is back')
    tsstack.edit('app/public/index.html', 'page one', 'page of after')
    await page(tsstack, 'page of after')
  })
})

test('up --watch shows output and saves, and Ctrl-C ends both', async () => {
  await watching('up --watch', async (tsstack, watch) => {
    await watch.untilOutput('| version 1 listens')
    // Said once for all rules.
    expect(watch.output().match(/will be in its containers/g)).toHaveLength(1)
    tsstack.edit('app/server.mjs', 'version 1', 'version 2')
    await page(tsstack, 'page one of version 2')
    await watch.untilOutput('| version 2 listens')
    tsstack.edit('stack.yaml', '1000:1000', '1000:1000\n    environment: { MODE: two }')
    await watch.untilOutput('the stack file has changed')
    await page(tsstack, 'page one of version 2')
    watch.signal('SIGINT')
    expect(await watch.exitCode).toBe(130)
    expect(watch.output()).toContain('Watch disabled')
    expect((await daemon.container('dev', 'web')).state).toBe('exited')
  })
})

test('builds the image anew where a rule says so', async () => {
  await tryExample('dev', daemon, async (tsstack) => {
    const dockerfile = path.join(tsstack.directory, 'Dockerfile')
    writeFileSync(dockerfile, 'FROM host:node\nCOPY app /app\n')
    tsstack.edit('stack.yaml', 'image: host:node', 'build: .')
    tsstack.edit(
      'stack.yaml',
      '      watch:',
      '      watch:\n        - { path: ./Dockerfile, action: rebuild }',
    )
    const watch = tsstack.start('watch')
    try {
      await page(tsstack, 'Hello, page one of version 1')
      const [id] = await tsstack.ids('web')
      writeFileSync(dockerfile, 'FROM host:node\nCOPY app /app\nENV NEW=1\n')
      await watch.untilOutput('Dockerfile → web develop.watch[0] → rebuilt web')
      expect(await tsstack.ids('web')).not.toEqual([id])
      await page(tsstack, 'Hello, page one of version 1')
    } catch (error) {
      throw new Error(`${String(error)}\n${watch.output()}`, { cause: error })
    } finally {
      watch.signal('SIGINT')
      await watch.exitCode
    }
  })
})
