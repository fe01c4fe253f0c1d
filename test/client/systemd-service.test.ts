import { expect, test } from 'vitest'
import { runtimePaths } from '../../src/client/runtime-paths.ts'
import { renderUnits } from '../../src/client/systemd-service.ts'

function render(environment: Record<string, string>, program = '/opt/tsstack/tsstack') {
  return renderUnits({ program, paths: runtimePaths(environment), environment })
}

test('renderUnits() lets containers survive the service', () => {
  const { service, socket } = render({})
  const lines = service.split('\n')
  for (const line of ['Type=notify', 'KillMode=process', 'Delegate=yes', 'Requires=tsstack.socket'])
    expect(lines).toContain(line)
  expect(lines).toContain('ExecStart="/opt/tsstack/tsstack" daemon run')
  expect(socket.split('\n')).toContain('ListenStream=/run/tsstack/tsstack.sock')
  expect(socket.split('\n')).toContain('SocketMode=0600')
  expect(service).not.toContain('Environment=')
})

test('renderUnits() keeps the places and the group of whoever installs it', () => {
  const { service, socket } = render({
    TSSTACK_STATE_DIR: '/srv/it is 100% "mine"',
    TSSTACK_SOCKET_GROUP: 'wheel',
    TSSTACK_RUN_DIR: '/run/other',
  })
  expect(service).toContain('Environment="TSSTACK_STATE_DIR=/srv/it is 100%% \\"mine\\""')
  expect(socket).toContain('SocketGroup=wheel\n')
  expect(socket).toContain('SocketMode=0660\n')
  expect(socket).toContain('ListenStream=/run/other/tsstack.sock\n')
})

test('renderUnits() refuses what would be another line', () => {
  expect(() => render({ TSSTACK_STATE_DIR: '/srv/a\nUser=nobody' })).toThrow(/two lines/)
})
