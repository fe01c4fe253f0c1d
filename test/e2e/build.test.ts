/** Images out of Dockerfiles, as a user works with them: build, up --build, the cache, and what goes wrong. */
import { symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { newProject, jsonOf, type CommandLine } from './command-line.ts'

const BASE = 'host:sh,coreutils'
const STACK = `
services:
  app:
    build: { context: ., args: { COLOUR: red } }
    command: [sh, -c, 'exec sleep 3600']
    stop_signal: SIGKILL
`

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(() => daemon.close())

/** A project of its own with these files, brought down afterwards. */
async function project(
  name: string,
  files: Readonly<Record<string, string>>,
  body: (tsstack: CommandLine) => Promise<void>,
): Promise<void> {
  const tsstack = newProject(daemon, name, { 'stack.yaml': STACK, ...files })
  try {
    await body(tsstack)
  } finally {
    await tsstack.run('down -v')
  }
}

const STAGES = `
ARG COLOUR=none
FROM ${BASE} AS unused
RUN exit 9

FROM ${BASE} AS tools
WORKDIR /out
RUN --mount=type=cache,target=/cache echo made by a stage > /out/tool

FROM ${BASE}
ARG COLOUR
ENV SHADE=dark-\${COLOUR:-none}
COPY --from=tools --chown=33:44 /out/tool /usr/share/tool
COPY src/ /app/
RUN <<EOF
echo "$SHADE" > /app/shade
rm -f /app/old
EOF
WORKDIR /app
LABEL org.example.kind=test
`

test('stages, arguments and copies come together, and up runs what was built', () =>
  project(
    'stages',
    {
      Dockerfile: STAGES,
      '.dockerignore': '**/*.log\n!src/keep.log\n',
      'src/main': 'program',
      'src/old': 'old',
      'src/noise.log': 'noise',
      'src/keep.log': 'kept',
    },
    async (tsstack) => {
      await tsstack.ok('up -d --build')
      const exec = (script: string): Promise<string> =>
        tsstack.ok(['exec', '-T', 'app', 'sh', '-c', script])
      expect(await exec('pwd; ls; cat shade main; echo; stat -c %u:%g /usr/share/tool')).toBe(
        '/app\nkeep.log\nmain\nshade\ndark-red\nprogram\n33:44',
      )
      const before = await tsstack.ids()

      const again = await tsstack.run('build')
      expect(again.exitCode).toBe(0)
      await tsstack.ok('up -d --build')
      expect(await tsstack.ids()).toEqual(before)

      writeFileSync(path.join(tsstack.directory, 'src/main'), 'changed')
      await tsstack.ok('up -d')
      expect(await exec('cat main')).toBe('program')
      await tsstack.ok('up -d --build')
      expect(await exec('cat main')).toBe('changed')
      expect(await tsstack.ids()).not.toEqual(before)
    },
  ))

test('run --build, quietly; and down --rmi takes what was built', () =>
  project('quiet', { Dockerfile: `FROM ${BASE}\nRUN echo 1 >/made` }, async (tsstack) => {
    const first = await tsstack.run('run --rm --build --quiet-build app cat /made')
    expect([first.exitCode, first.stdout.trim()]).toEqual([0, '1'])
    expect(first.stderr).not.toContain('RUN echo')
    writeFileSync(path.join(tsstack.directory, 'Dockerfile'), `FROM ${BASE}\nRUN echo 2 >/made`)
    expect((await tsstack.ok('run --rm app cat /made')).trim()).toBe('1')
    expect((await tsstack.ok('run --rm --build app cat /made')).trim()).toBe('2')
    const missing = await tsstack.run('run --rm app nonexistent', { timeoutMs: 20_000 })
    expect([missing.exitCode, missing.stderr]).toEqual([
      127,
      expect.stringContaining('nonexistent'),
    ])
    await tsstack.ok('up -d')
    await tsstack.ok('down --rmi local')
    expect(await tsstack.ok('image ls')).not.toContain('quiet-app')
  }))

test('services with the same build share its steps, and have the same image', () => {
  const build = '{ build: ., image: twin, command: [sleep, infinity], init: true }'
  return project(
    'twins',
    {
      Dockerfile: `FROM ${BASE}\nRUN date +%s.%N >/made; sleep 0.3`,
      'stack.yaml': `services:\n  one: ${build}\n  two: ${build}\n  three: ${build}\n`,
    },
    async (tsstack) => {
      await tsstack.ok('up -d')
      const made = await Promise.all(
        ['one', 'two', 'three'].map((service) => tsstack.ok(`exec -T ${service} cat /made`)),
      )
      expect(new Set(made).size).toBe(1)
      const before = await tsstack.ids()
      await tsstack.ok('build three')
      await tsstack.ok('up -d --build')
      expect(await tsstack.ids()).toEqual(before)
    },
  )
})

test('up builds what is missing, and --no-build does not', () =>
  project('missing', { Dockerfile: `FROM ${BASE}\nRUN echo hi > /hi\n` }, async (tsstack) => {
    const refused = await tsstack.run('up -d --no-build')
    expect(refused.exitCode).not.toBe(0)
    await tsstack.ok('up -d')
    expect(await tsstack.ok('exec -T app cat /hi')).toBe('hi')
    const names = jsonOf(await tsstack.ok('images --format json')).map((row) => JSON.stringify(row))
    expect(names.join()).toContain('missing-app')
  }))

test('a step that fails says where and why, and leaves no image', () =>
  project(
    'fails',
    { Dockerfile: `FROM ${BASE}\nRUN echo one\nRUN echo about to fail; exit 3\n` },
    async (tsstack) => {
      const { exitCode, stderr } = await tsstack.run('build')
      expect(exitCode).not.toBe(0)
      expect(stderr).toMatch(/Dockerfile:3/)
      expect(stderr).toContain('about to fail')
      expect(await tsstack.ok('image ls')).not.toContain('fails-app')
    },
  ))

test('a mistake is told with its line and column', () =>
  project('mistake', { Dockerfile: `FROM ${BASE}\n\n  COPPY a b\n` }, async (tsstack) => {
    const { exitCode, stderr } = await tsstack.run('build')
    expect(exitCode).not.toBe(0)
    expect(stderr).toMatch(/Dockerfile:3:3/)
    expect(stderr).toContain('COPY')
  }))

test('checks warn with line and column, or fail a build that wants them to', () =>
  project(
    'checked',
    { Dockerfile: `FROM ${BASE}\nENV A=$PAHT\nCMD sleep 1\n` },
    async (tsstack) => {
      const rules = /Dockerfile:2:1: UndefinedVar: .*PATH[\s\S]*Dockerfile:3:1: JSONArgsRecommended/
      const checked = await tsstack.run('build --check')
      expect(checked.exitCode).not.toBe(0)
      expect(checked.stderr).toMatch(rules)
      expect(await tsstack.ok('image ls')).not.toContain('checked-app')
      const built = await tsstack.run('build')
      expect([built.exitCode, built.stderr]).toEqual([0, expect.stringMatching(rules)])
      const dockerfile = path.join(tsstack.directory, 'Dockerfile')
      writeFileSync(dockerfile, `# check=error=true\nFROM ${BASE}\nMAINTAINER me\n`)
      const failed = await tsstack.run('build')
      expect(failed.exitCode).not.toBe(0)
      expect(failed.stderr).toContain('Dockerfile:3:1: MaintainerDeprecated')
      writeFileSync(dockerfile, `# check=skip=all\nFROM ${BASE}\nMAINTAINER me\n`)
      await tsstack.ok('build --check')
    },
  ))

test('a secret is there while a step runs, and in no layer', () =>
  project(
    'secret',
    {
      Dockerfile: `FROM ${BASE}\nRUN --mount=type=secret,id=token cat /run/secrets/token | wc -c > /length\n`,
      token: 'hidden-word',
      'stack.yaml': `${STACK.replace('args: { COLOUR: red }', 'secrets: [token]')}secrets: { token: { file: ./token } }\n`,
    },
    async (tsstack) => {
      await tsstack.ok('up -d --build')
      expect(await tsstack.ok('exec -T app cat /length')).toBe('11')
      expect(await tsstack.run('exec -T app ls /run/secrets/token')).toMatchObject({ exitCode: 2 })
    },
  ))

test('a link does not lead out of the context', () =>
  project('escape', { Dockerfile: `FROM ${BASE}\nCOPY link /got\n` }, async (tsstack) => {
    symlinkSync('/etc/hostname', path.join(tsstack.directory, 'link'))
    const outcome = await tsstack.run('build')
    expect(outcome.exitCode).not.toBe(0)
    expect(outcome.stderr).toContain('link')
  }))
