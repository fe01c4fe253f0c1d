/**
 * A git host as people run them, in the network namespace of a daemon under test: nginx and git-http-backend behind a
 * password, and OpenSSH with keys of its own. All of it ends with `close`.
 *
 *   http://127.0.0.1:8080/shop.git      ssh://root@127.0.0.1:2222/DIR/shop.git
 *   https://127.0.0.1:8443/shop.git     with a certificate of its own authority (makeHostCertificate)
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '../eventually.ts'
import { makeAuthority, makeCertificate, type Certificate } from '../registry/certificates.ts'

const HTTP_PORT = 8080
const HTTPS_PORT = 8443
const SSH_PORT = 2222
const SSHD = '/usr/sbin/sshd'
const FCGIWRAP = '/usr/sbin/fcgiwrap'
const NGINX = '/usr/sbin/nginx'
const BACKEND = '/usr/lib/git-core/git-http-backend'
/** sshd wants /run/sshd, which services make: here each has its own, because others end before it. */
const START_SSHD = `mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec ${SSHD} -D -f "$0"`
const PASSWORD = 'deploy:a password that nobody may see'

export const hasGitHost = [SSHD, FCGIWRAP, NGINX, BACKEND].every((path) => existsSync(path))

/** Made before the daemon is, which has to trust its authority. */
export interface HostCertificate extends Certificate {
  readonly authority: string
}

export function makeHostCertificate(directory: string): HostCertificate {
  const authority = makeAuthority(directory, 'authority')
  const certificate = makeCertificate(directory, authority, ['IP:127.0.0.1'])
  return { ...certificate, authority: authority.certificate }
}

export interface GitHost {
  readonly httpUrl: string
  /** Only with a certificate. */
  readonly httpsUrl: string
  readonly sshUrl: string
  /** `user:password`, and a file that holds it. */
  readonly password: string
  readonly passwordFile: string
  readonly sshKeyFile: string
  /** May only read. */
  readonly readOnlyKeyFile: string
  readonly knownHostsFile: string
  /** Knows the host by a key that is not its own. */
  readonly wrongHostsFile: string
  /** Has http answer nothing any more, until `goOn`. */
  pause(): void
  goOn(): void
  close(): Promise<void>
}

/**
 * @param directory - with `shop.git`; the host's own files go beside it
 * @param netns - a path of the network namespace to listen in
 */
export async function startGitHost(
  directory: string,
  netns: string,
  certificate?: Certificate,
): Promise<GitHost> {
  const own = join(directory, 'host')
  mkdirSync(own)
  const inside = (program: string, words: readonly string[]): ChildProcess =>
    spawn('nsenter', [`--net=${netns}`, program, ...words], { stdio: 'ignore' })
  const socket = join(own, 'fcgi.sock')
  const backend = inside(FCGIWRAP, ['-s', `unix:${socket}`])
  const processes = [
    backend,
    inside(NGINX, ['-c', nginxSettings({ own, root: directory, socket, certificate }), '-p', own]),
    inside('unshare', ['--mount', 'sh', '-c', START_SSHD, sshdSettings(own)]),
  ]
  const answers = (port: number): boolean =>
    spawnSync('nsenter', [`--net=${netns}`, 'bash', '-c', `: </dev/tcp/127.0.0.1/${String(port)}`])
      .status === 0
  await eventually('the git host', () => existsSync(socket) && [HTTP_PORT, SSH_PORT].every(answers))
  return {
    httpUrl: `http://127.0.0.1:${String(HTTP_PORT)}/shop.git`,
    httpsUrl: `https://127.0.0.1:${String(HTTPS_PORT)}/shop.git`,
    sshUrl: `ssh://root@127.0.0.1:${String(SSH_PORT)}${directory}/shop.git`,
    password: PASSWORD,
    passwordFile: written(own, 'password', PASSWORD),
    sshKeyFile: join(own, 'client'),
    readOnlyKeyFile: join(own, 'reader'),
    knownHostsFile: written(own, 'known', knownHost(own, 'server')),
    wrongHostsFile: written(own, 'wrong', knownHost(own, 'client')),
    pause: () => {
      backend.kill('SIGSTOP')
    },
    goOn: () => {
      backend.kill('SIGCONT')
    },
    close: async () => {
      for (const each of processes) await end(each)
    },
  }
}

function written(directory: string, name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

interface HttpHost {
  readonly own: string
  readonly root: string
  readonly socket: string
  readonly certificate: Certificate | undefined
}

function nginxSettings({ own, root, socket, certificate }: HttpHost): string {
  const [user = '', password = ''] = PASSWORD.split(':')
  const users = written(own, 'users', `${user}:{PLAIN}${password}\n`)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const parameters = {
    SCRIPT_FILENAME: BACKEND,
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: '$uri',
    QUERY_STRING: '$query_string',
    REQUEST_METHOD: '$request_method',
    CONTENT_TYPE: '$content_type',
    CONTENT_LENGTH: '$content_length',
    HTTP_CONTENT_ENCODING: '$http_content_encoding',
    GIT_PROTOCOL: '$http_git_protocol',
    // Who has logged in may write.
    REMOTE_USER: '$remote_user',
  }
  const tls =
    certificate === undefined
      ? ''
      : `listen 127.0.0.1:${String(HTTPS_PORT)} ssl;
    ssl_certificate ${certificate.certificate}; ssl_certificate_key ${certificate.key};`
  return written(
    own,
    'nginx.conf',
    `daemon off; master_process off; pid ${own}/nginx.pid; error_log ${own}/nginx.log; user root;
events {}
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${own}/${name};`).join(' ')}
  server {
    listen 127.0.0.1:${String(HTTP_PORT)};
    ${tls}
    location / {
      auth_basic git;
      auth_basic_user_file ${users};
      fastcgi_pass unix:${socket};
      ${Object.entries(parameters)
        .map(([name, value]) => `fastcgi_param ${name} ${value};`)
        .join(' ')}
    }
  }
}
`,
  )
}

function sshdSettings(own: string): string {
  for (const name of ['server', 'client', 'reader'])
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(own, name)])
  const keyOf = (name: string): string => readFileSync(join(own, `${name}.pub`), 'utf8')
  // As hosts have deploy keys.
  const read = String.raw`command="case \"$SSH_ORIGINAL_COMMAND\" in git-upload-pack*) eval \"$SSH_ORIGINAL_COMMAND\";; *) echo 'this key is read only' >&2; exit 1;; esac" `
  written(own, 'keys', `${keyOf('client')}${read}${keyOf('reader')}`)
  return written(
    own,
    'sshd.conf',
    `ListenAddress 127.0.0.1:${String(SSH_PORT)}
HostKey ${own}/server
AuthorizedKeysFile ${own}/keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
PidFile none
KexAlgorithms curve25519-sha256
`,
  )
}

function knownHost(own: string, key: string): string {
  return `[127.0.0.1]:${String(SSH_PORT)} ${readFileSync(join(own, `${key}.pub`), 'utf8')}`
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGCONT')
  child.kill('SIGTERM')
  await ended
}
