/** Builds on storage drivers that keep whole trees: what a step has changed is found, and nothing else. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { startDaemonFixture } from '../daemon-fixture.ts'
import { mountBtrfs } from '../suites/btrfs-volume.ts'
import { jsonOf, newProject } from './command-line.ts'

const BASE = 'host:sh,coreutils'
const hasBtrfs = spawnSync('mkfs.btrfs', ['--version']).status === 0

const DOCKERFILE = `
FROM scratch AS none
FROM ${BASE} AS one
RUN mkdir /kept /gone; echo same > /kept/a; echo old > /kept/b; echo x > /gone/x; chmod 4755 /kept/a
RUN rm -r /gone; echo new > /kept/b; chown 5:6 /kept/b; ln -s b /kept/link
COPY context /kept/context
FROM ${BASE}
COPY --from=one /kept /kept
RUN --mount=type=bind,from=none,target=/none --mount=type=bind,from=one,target=/one ! touch /none/x; ! touch /one/x; test ! -e /one/gone; test ! -e /one/proc/self; rm /kept/context
`

test.each(['vfs', ...(hasBtrfs ? ['btrfs'] : [])])('steps are made on %s', async (driver) => {
  const volume = driver === 'btrfs' ? mountBtrfs() : undefined
  const daemon = await startDaemonFixture({
    environment: { TSSTACK_STORAGE_DRIVER: driver },
    ...(volume === undefined ? {} : { stateDir: path.join(volume.path, 'state') }),
  })
  try {
    const tsstack = newProject(daemon, 'driver', {
      Dockerfile: DOCKERFILE,
      context: 'context',
      'stack.yaml': 'services:\n  app: { build: . }\n',
    })
    await tsstack.ok('build')
    const show = "cd /kept; ls; cat a b; stat -c '%a %u:%g' a b; readlink link"
    expect(await tsstack.ok(['run', '--rm', 'app', 'sh', '-c', show])).toBe(
      ['a', 'b', 'link', 'same', 'new', '4755 0:0', '644 5:6', 'b'].join('\n'),
    )
    // A layer has what its step has changed, not the tree.
    const history = jsonOf(await tsstack.ok('image history --format json driver-app'))
    const sizes = history.slice(0, 2).map(({ Size }) => Size)
    expect(sizes).toEqual(['0B', '16B'])
    const drafts = path.join(daemon.stateDir, 'images/drafts', driver)
    expect(
      existsSync(drafts) ? readdirSync(drafts).filter((name) => !name.startsWith('.')) : [],
    ).toEqual([])
  } finally {
    await daemon.close()
    volume?.close()
  }
})
