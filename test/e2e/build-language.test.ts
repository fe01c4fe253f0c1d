/** What instructions make of an image's configuration and files, and which values variables have where. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { newProject, type CommandLine } from './command-line.ts'

const BASE = 'host:sh,coreutils'

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(() => daemon.close())

interface Details {
  readonly Config: Readonly<Record<string, unknown>>
}

function projectOf(name: string, dockerfile: string, build = 'args: {}'): CommandLine {
  return newProject(daemon, name, {
    'stack.yaml': `services: { app: { build: { context: ., ${build} }, command: [sleep, infinity], init: true } }\n`,
    Dockerfile: dockerfile,
  })
}

async function configOf(
  name: string,
  dockerfile: string,
  build?: string,
): Promise<Details['Config']> {
  const tsstack = projectOf(name, dockerfile, build)
  await tsstack.ok('build')
  const [details] = JSON.parse(await tsstack.ok(`image inspect ${name}-app`)) as Details[]
  return details?.Config ?? {}
}

const CONFIG = `
FROM scratch AS base
EXPOSE 80 443/tcp 53/UDP 8000-8002 127.0.0.1:90:91
VOLUME ["/a b"]
VOLUME /c /d
STOPSIGNAL SIGUSR1
USER 5:6
ENV OLD form with  "blanks"
ENV A=1 B="two words" C=three\\ words D='$A' F=\${none:-fallback}
ENV A=2 G=$A
LABEL "key with blank"="v" x=y\\ z multi="line \\
next" $A=\\$A
SHELL ["/bin/x", "-c"]
CMD echo hi
WORKDIR /one
WORKDIR \${SUB:-two}
MAINTAINER me
HEALTHCHECK --interval=5s --timeout=2s --start-period=1m --start-interval=500ms --retries=4 CMD test -e /x
ONBUILD ENV TRIGGERED=\${TRIGGERED}1
ONBUILD LABEL triggered=$TRIGGERED
FROM base AS second
ENTRYPOINT prog
FROM second
HEALTHCHECK NONE
`

test('instructions that change the configuration', async () => {
  const whole = await configOf('config', CONFIG, 'target: base')
  const ports = ['443/tcp', '53/udp', '80/tcp', '8000/tcp', '8001/tcp', '8002/tcp', '91/tcp']
  expect(whole).toMatchObject({
    ExposedPorts: Object.fromEntries(ports.map((port) => [port, {}])),
    Volumes: { '/a b': {}, '/c': {}, '/d': {} },
    StopSignal: 'SIGUSR1',
    User: '5:6',
    WorkingDir: '/one/two',
    Cmd: ['/bin/x', '-c', 'echo hi'],
    Shell: ['/bin/x', '-c'],
    OnBuild: ['ENV TRIGGERED=${TRIGGERED}1', 'LABEL triggered=$TRIGGERED'],
    Healthcheck: {
      ...{ Test: ['CMD-SHELL', 'test -e /x'], Interval: 5e9, Timeout: 2e9 },
      ...{ StartPeriod: 60e9, StartInterval: 500e6, Retries: 4 },
    },
    Labels: { 'key with blank': 'v', x: 'y z', multi: 'line next', 2: '$A' },
  })
  expect(whole['Env']).toEqual(
    expect.arrayContaining([
      ...['OLD=form with  blanks', 'A=2', 'B=two words', 'C=three words', 'D=$A'],
      ...['F=fallback', 'G=1'],
    ]),
  )
  const last = await configOf('triggers', CONFIG)
  expect(last).toMatchObject({
    Entrypoint: ['/bin/x', '-c', 'prog'],
    Healthcheck: { Test: ['NONE'] },
    Labels: { triggered: '1' }, // by the stage right above, and once
  })
  expect(last['Env']).toContain('TRIGGERED=1')
  expect([last['Cmd'] ?? [], last['OnBuild'] ?? []]).toEqual([[], []])
})

const SCOPES = `
ARG GLOBAL=global GIVEN=default VERSION=\${GIVEN}-1
ARG STAGE=base
FROM scratch AS base
ARG VERSION
ARG LOCAL=\${VERSION}-\${GLOBAL:-unseen}
LABEL base=$LOCAL undeclared=[$GLOBAL] platform=[$TARGETARCH] proxy=$HTTP_PROXY
ENV VERSION=env
ARG VERSION=arg
LABEL env=$VERSION
FROM \${STAGE} AS last
LABEL gone=[$LOCAL] kept=$VERSION
ARG GLOBAL
LABEL first=$GLOBAL
ARG GLOBAL=again
ARG GIVEN=\${GIVEN:-own}
ARG TARGETPLATFORM BUILDPLATFORM TARGETSTAGE
LABEL second=$GLOBAL given=$GIVEN same=\${TARGETPLATFORM#$BUILDPLATFORM} stage=$TARGETSTAGE
`

test('variables have the values of their scopes', async () => {
  const args = 'args: { GIVEN: given, HTTP_PROXY: "http://proxy.example" }, target: last'
  const config = await configOf('scopes', SCOPES, args)
  expect(config['Labels']).toMatchObject({
    ...{ base: 'given-1-unseen', undeclared: '[]', platform: '[]', proxy: 'http://proxy.example' },
    ...{ env: 'env', gone: '[]', kept: 'env', first: 'global', second: 'again', given: 'given' },
    ...{ same: '', stage: 'last' },
  })
  expect(JSON.stringify(config['Env'])).not.toMatch(/PROXY|GLOBAL|LOCAL/)
})

const FILES = `
FROM ${BASE} AS first
RUN echo 'app:x:41:42::/:' >/etc/passwd; echo 'team:x:43:app' >/etc/group
FROM first
RUN mkdir /v && echo before >/v/file
VOLUME /v
RUN echo after >/v/file
USER app:team
RUN --mount=type=tmpfs,target=/tmp echo "$(id -u):$(id -g)" >/tmp/ids && test "$(cat /tmp/ids)" = 41:43
USER 0
COPY --chown=app:team --chmod=u=rw,go= context/top /owned
COPY --from=0 /etc/group /from/index
COPY --from=first --chmod=0640 /etc/passwd /etc/gro?p /from/
COPY --parents context/./a/*.txt context/./b /parents/
COPY --exclude=**/*.log --exclude=b context /excluded/
COPY context/[^at]* context/\\[x] /globs/
COPY context/link /followed
COPY ["context/with blank", "/blank file"]
WORKDIR /work
COPY context/top .
COPY context/top name
ENV SUB=deep
WORKDIR $SUB/er
RUN cat <<ONE >one; cat <<-"TWO" >two
	$SUB
ONE
	$SUB
TWO
RUN <<EOF
#!/bin/sh -e
echo script >script
EOF
`

test('files go where they shall, with the owners and modes that they shall have', async () => {
  const tsstack = projectOf('files', FILES)
  const write = (name: string): void => {
    const file = path.join(tsstack.directory, 'context', name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, `${name}\n`)
  }
  for (const name of ['top', 'a/1.txt', 'a/x.log', 'b/2.txt', '[x]', 'cc', 'with blank', 'a/b'])
    write(name)
  symlinkSync('top', path.join(tsstack.directory, 'context/link'))
  const script = [
    'cd /; cat v/file; stat -c "%n %a %u:%g" owned from/*',
    'for d in parents/* excluded globs work work/deep/er; do echo $d: $(ls -A $d); done',
    'test -L followed || cat followed "blank file"; cat work/deep/er/*',
  ].join('; ')
  const shown = await tsstack.ok(['run', '--rm', '--build', 'app', 'sh', '-c', script])
  expect(shown.split('\n')).toEqual([
    ...['after', 'owned 600 41:43'],
    ...['from/group 640 0:0', 'from/index 644 0:0', 'from/passwd 640 0:0'],
    ...['parents/a: 1.txt', 'parents/b: 2.txt', 'excluded: [x] a cc link top with blank'],
    ...[
      'globs: 2.txt [x] cc link with blank',
      'work: deep name top',
      'work/deep/er: one script two',
    ],
    ...['top', 'with blank', '\tdeep', 'script', '$SUB'],
  ])
  await tsstack.run('down -v')
})
