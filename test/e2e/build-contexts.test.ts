/** Where builds take their files from: directories, images, layouts, services, repositories, archives. */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { newProject } from './command-line.ts'

const BASE = 'host:sh,coreutils'

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(() => daemon.close())

const CONTEXTS = `
services:
  base:
    build: { dockerfile_inline: "FROM ${BASE}\\nRUN echo base > /base" }
  app:
    build:
      context: app
      dockerfile: ../files/app.dockerfile
      additional_contexts:
        docker.io/library/alpine: service:base
        lib: ./lib
        tools: ./tools
        image: docker-image://contexts-base
    command: [sh, -c, 'exec sleep 3600']
    stop_signal: SIGKILL
`
const FROZEN = `
services:
  frozen:
    build:
      dockerfile_inline: "FROM frozen\\nRUN echo >> /base; cat /base /base > /twice"
      additional_contexts: ['frozen=oci-layout://./layout:latest']
`
const DOCKERFILE = `
FROM scratch AS tools
COPY nothing /
FROM alpine:latest
COPY --from=lib . /shared/
COPY --from=tools tool /
COPY --from=image /base /again
RUN --mount=type=bind,from=lib,target=/mnt cat /mnt/a /again > /both
COPY own /
`

test('contexts are directories, images, layouts and other services, and take the place of stages', async () => {
  const tsstack = newProject(daemon, 'contexts', {
    'stack.yaml': CONTEXTS,
    'frozen.yaml': FROZEN,
    'files/app.dockerfile': DOCKERFILE,
    'app/own': 'own',
    'lib/a': 'a\n',
    'lib/b': 'b',
    'lib/.dockerignore': 'b\n.dockerignore',
    'tools/tool': 'tool',
  })
  try {
    await tsstack.ok('up -d app')
    const shown = await tsstack.ok([
      'exec',
      '-T',
      'app',
      'sh',
      '-c',
      'cd /; ls shared; cat both tool own',
    ])
    expect(shown).toBe('a\na\nbase\ntoolown')
    const layout = path.join(tsstack.directory, 'layout')
    mkdirSync(layout)
    await tsstack.ok('image save -o layout.tar contexts-base:latest')
    execFileSync('tar', ['-xf', '../layout.tar'], { cwd: layout })
    await tsstack.ok('-f frozen.yaml build')
    const twice = await tsstack.ok('-f frozen.yaml run --rm frozen cat /twice')
    expect(twice.trim()).toBe('base\n\nbase')
  } finally {
    await tsstack.run('down -v')
  }
})
