/**
 * The daemon as a service of systemd: a socket that systemd listens on from the boot on, and the service that it starts
 * with the first connection, or at the boot, for the containers that are to run again.
 *
 *   /etc/systemd/system/tsstack.socket    who may connect
 *   /etc/systemd/system/tsstack.service   how the daemon runs (man 5 systemd.service)
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { TsstackError } from '../errors.ts'
import type { RuntimePaths } from './runtime-paths.ts'

const UNITS = '/etc/systemd/system'
const SERVICE = 'tsstack.service'
const SOCKET = 'tsstack.socket'
/** There where systemd is what the system was booted with (man 3 sd_booted). */
const BOOTED = '/run/systemd/system'
/** Settings that the service has from whoever installs it; others belong into /etc/tsstack/daemon.env. */
const KEPT_SETTINGS = ['TSSTACK_STATE_DIR', 'TSSTACK_RUN_DIR', 'TSSTACK_HOST', 'TSSTACK_SETTINGS']

const run = promisify(execFile)

export interface ServiceUnits {
  readonly socket: string
  readonly service: string
}

export interface UnitOptions {
  /** Absolute path of the program that takes `daemon run`. */
  readonly program: string
  readonly paths: RuntimePaths
  readonly environment: NodeJS.ProcessEnv
}

/** The text of both units. @throws {INVALID_ARGUMENT} for a value that no unit file can hold */
export function renderUnits({ program, paths, environment }: UnitOptions): ServiceUnits {
  const group = environment['TSSTACK_SOCKET_GROUP'] ?? ''
  const settings = KEPT_SETTINGS.flatMap((name) => {
    const value = environment[name]
    return value === undefined || value === '' ? [] : [`Environment=${quote(`${name}=${value}`)}`]
  })
  return {
    socket: `[Unit]
Description=Socket of the tsstack container engine

[Socket]
ListenStream=${escapeSpecifiers(paths.socket)}
SocketMode=${group === '' ? '0600' : '0660'}
${group === '' ? '' : `SocketGroup=${group}\n`}DirectoryMode=0755

[Install]
WantedBy=sockets.target
`,
    service: `[Unit]
Description=tsstack container engine
Requires=${SOCKET}
After=${SOCKET} local-fs.target network-online.target nftables.service firewalld.service
Wants=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart=${quote(program)} daemon run
ExecReload=/bin/kill -HUP $MAINPID
${settings.map((line) => `${line}\n`).join('')}# Containers are no part of the service: they go on while it is restarted or stopped.
KillMode=process
Delegate=yes
Restart=on-failure
RestartSec=1
TimeoutStartSec=300
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=0
TasksMax=infinity
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
`,
  }
}

/**
 * Writes the units, and has systemd start the socket now and both at each boot.
 * @returns the files
 * @throws {FAILED_PRECONDITION} without systemd, {PERMISSION_DENIED}
 */
export async function installService(options: UnitOptions): Promise<readonly string[]> {
  assertSystemd('install')
  const units = renderUnits(options)
  const files = [join(UNITS, SOCKET), join(UNITS, SERVICE)] as const
  try {
    mkdirSync(dirname(files[0]), { recursive: true })
    writeFileSync(files[0], units.socket)
    writeFileSync(files[1], units.service)
  } catch (error) {
    throw new TsstackError(
      'PERMISSION_DENIED',
      `Cannot install the service: cannot write below "${UNITS}"`,
      {
        cause: error,
        hint: 'run as root',
      },
    )
  }
  await systemctl('daemon-reload')
  await systemctl('enable', SOCKET, SERVICE)
  await systemctl('restart', SOCKET)
  await systemctl('start', SERVICE)
  return files
}

/**
 * Stops the service and removes its units. Containers go on.
 * @returns whether there was one
 * @throws {FAILED_PRECONDITION} without systemd
 */
export async function uninstallService(): Promise<boolean> {
  assertSystemd('remove')
  const files = [join(UNITS, SERVICE), join(UNITS, SOCKET)]
  if (!files.some((file) => existsSync(file))) return false
  await systemctl('disable', '--now', SOCKET, SERVICE)
  for (const file of files) rmSync(file, { force: true })
  await systemctl('daemon-reload')
  return true
}

/** Whether units are there, and what systemd says of the service: `active, enabled`. undefined: there are none. */
export async function serviceState(): Promise<string | undefined> {
  if (!existsSync(join(UNITS, SERVICE)) || !existsSync(BOOTED)) return undefined
  const ask = async (question: string): Promise<string> => {
    try {
      return (await run('systemctl', [question, SERVICE])).stdout.trim()
    } catch (error) {
      return (error as { stdout?: string }).stdout?.trim() ?? 'unknown'
    }
  }
  return `${await ask('is-active')}, ${await ask('is-enabled')}`
}

function assertSystemd(verb: string): void {
  if (existsSync(BOOTED)) return
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot ${verb} the service: systemd does not run here`,
    {
      hint: 'commands start the daemon when they need it; for containers that are to run after a boot, have the init of this host run "tsstack daemon start"',
    },
  )
}

async function systemctl(...words: readonly string[]): Promise<void> {
  try {
    await run('systemctl', words)
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim() ?? ''
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot run "systemctl ${words.join(' ')}": ${said === '' ? (error as Error).message : said}`,
      { cause: error, hint: `"journalctl -u ${SERVICE}" says more` },
    )
  }
}

/** As one word of a unit file: specifiers and variables are none (man 5 systemd.unit, "Quoting"). */
function quote(text: string): string {
  return `"${escapeSpecifiers(text).replaceAll(/["\\]/g, '\\$&').replaceAll('$', '$$$$')}"`
}

function escapeSpecifiers(text: string): string {
  if (/[\n\r]/.test(text))
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot write "${text}" into a unit: it has two lines`,
    )
  return text.replaceAll('%', '%%')
}
