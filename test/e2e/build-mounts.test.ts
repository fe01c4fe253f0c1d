/** RUN --mount, --network and --security: what a step sees, and what stays of it. */
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ProgressEvent } from '../../src/api/types.ts'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { newProject, type CommandLine } from './command-line.ts'

const BASE = 'host:sh,coreutils'

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(() => daemon.close())

function projectOf(name: string, dockerfile: string): CommandLine {
  return newProject(daemon, name, {
    'stack.yaml': `services: { app: { build: { context: ., secrets: [token], args: { BUILDKIT_SANDBOX_HOSTNAME: box } } } }\nsecrets: { token: { file: token } }\n`,
    Dockerfile: dockerfile,
    '.dockerignore': 'token\nsub/ignored\n',
    token: 'hidden-word',
    kept: 'kept',
    'sub/file': 'file',
    'sub/ignored': 'ignored',
  })
}

/** A build fails where one of its `test`s does. */
const STEPS = [
  'bind,target=/c,rw echo changed >/c/kept; rm /c/sub/file; echo x >/c/new; test ! -e /c/token -a ! -e /c/sub/ignored',
  'bind,target=/c,readwrite test "$(cat /c/kept)" = kept -a -e /c/sub/file -a ! -e /c/new',
  'bind,target=/c test ! -e /c/token -a ! -e /c/sub/ignored -a -e /c/sub/file && ! touch /c/x',
  'bind,target=/one,source=sub/file,rw test "$(cat /one)" = file && echo other >/one',
  'bind,from=other,source=/data,target=/d,rw test "$(stat -c %u:%g /d/file)" = 7:8 && echo no >/d/file',
  'bind,from=other,source=data,target=/d test "$(cat /d/file)" = seed && ! touch /d/x',
  'secret,id=token,env=TOKEN,required test "$TOKEN" = hidden-word -a ! -e /run/secrets/token',
  'secret,id=token,target=/t,mode=440,uid=3,gid=4,env=T test "$(stat -c %a:%u:%g /t)$T" = 440:3:4hidden-word',
  'secret,target=token test "$(cat /token)" = hidden-word',
  'secret,id=none,env=NONE test ! -e /run/secrets/none -a -z "$NONE"',
  'cache,target=/e,mode=1770,uid=5,gid=6 test "$(stat -c %a:%u:%g /e)" = 1770:5:6',
  'cache,target=/e,id=seeded,from=other,source=/data test "$(stat -c %u:%g /e/file)" = 7:8; echo more >/e/more',
  'cache,target=/f,id=seeded,from=other,source=/data,ro test -e /f/more && ! touch /f/x',
  'tmpfs,target=/g,size=64k ! head -c 100000 /dev/zero >/g/x',
  'tmpfs,target=/g test ! -e /g/x',
]

test('each type of mount shows what it shall, and leaves nothing in the image', async () => {
  const lines = STEPS.map((step) => `RUN --mount=type=${step}`).join('\n')
  const host = 'RUN test "$(uname -n)" = box'
  const left =
    'RUN for f in /c /one /d /t /token /e /f /g /run/secrets; do test ! -e $f || exit 1; done'
  const tsstack = projectOf(
    'mounts',
    `FROM ${BASE} AS other\nRUN mkdir /data && echo seed >/data/file && chown 7:8 /data/file\nFROM ${BASE}\n${lines}\n${host}\n${left}\n`,
  )
  await tsstack.ok('build')
})

test('steps beside each other have private caches of their own, and then the first again', async () => {
  const meet = (own: string, other: string): string =>
    `FROM ${BASE} AS ${own}\nRUN --mount=type=cache,id=meet,target=/m --mount=type=cache,id=own,target=/o,sharing=private ` +
    `echo ${own} >/o/name; touch /m/${own}; until test -e /m/${other}; do sleep 0.02; done; cat /o/name >/name\n`
  const tsstack = projectOf(
    'private',
    [
      meet('a', 'b'),
      meet('b', 'a'),
      `FROM ${BASE}\nCOPY --from=a /name /a\nCOPY --from=b /name /b\n`,
      'RUN --mount=type=cache,id=own,target=/o,sharing=private test "$(cat /a /b)" = "$(printf "a\\nb")" -a -e /o/name\n',
    ].join(''),
  )
  await tsstack.ok('build')
})

test.each([
  ['secret', 'RUN --mount=type=secret,id=none,required true', /Dockerfile:2:1: RUN: secret "none"/],
  ['network', 'RUN --network=host true', /Dockerfile:2:1: RUN: .*"network\.host"/],
  ['security', 'RUN --security=insecure true', /Dockerfile:2:1: RUN: .*"security\.insecure"/],
  ['size', 'RUN --mount=type=tmpfs,target=/x,size=much true', /Dockerfile:2:1: RUN: "size=much"/],
  [
    'outside',
    'RUN --mount=type=bind,source=../..,target=/x test ! -e /x/etc/passwd && exit 7',
    /code 7/,
  ],
  [
    'missing',
    'RUN --mount=type=bind,source=none,target=/x true',
    /Dockerfile:2:1: RUN: "none" is not/,
  ],
])('refused: %s', async (name, line, message) => {
  const { exitCode, stderr } = await projectOf(`no-${name}`, `FROM ${BASE}\n${line}\n`).run('build')
  expect(exitCode).not.toBe(0)
  expect(stderr).toMatch(message)
})

test('a stack from git has neither the cache mounts nor the results of RUN of another', async () => {
  const script = 'test ! -e /c/mark && touch /c/mark'
  const dockerfile = `FROM ${BASE}\nRUN --mount=type=cache,id=shared,target=/c ${script}\n`
  const { directory } = projectOf('scoped', dockerfile)
  const build = async (name: string, isFromGit: boolean): Promise<string | undefined> => {
    const events: ProgressEvent[] = []
    const build = { context: directory, dockerfile: path.join(directory, 'Dockerfile') }
    const repository = 'https://example.org/a.git'
    const origin = { kind: 'git', repository, commit: '0'.repeat(40) } as const
    for await (const event of daemon.client.build(name, {
      stack: {
        name,
        services: { app: { build } },
        networks: {},
        volumes: {},
        secrets: {},
        configs: {},
      },
      ...{
        files: [],
        workingDir: directory,
        contents: { configs: {}, secrets: {} },
        options: {},
      },
      ...(isFromGit ? { origin } : {}),
    }))
      events.push(...event)
    const last = events.findLast(
      (event) => event.type === 'operation' && event.resource === 'step' && event.status === 'done',
    )
    return last?.type === 'operation' ? last.action : undefined
  }
  expect(await build('mine', false)).toBe('Done')
  expect(await build('other', false)).toBe('Cached')
  expect(await build('first', true)).toBe('Done')
  expect(await build('second', true)).toBe('Done')
  expect(await build('second', true)).toBe('Cached')
})
