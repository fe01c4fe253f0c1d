/** The proxies that carry TCP over IPv6 to published ports whose packets the firewall can't translate: one for each port. */
import { openTcpProxy, type ProxyTarget, type TcpProxy } from '../network/tcp-proxy.ts'
import { log } from '../log.ts'

export interface ProxiedPort {
  /** Port of the host. */
  readonly published: number
  readonly target: ProxyTarget
}

export class PortProxies {
  /** By port; undefined where it could not be opened. */
  readonly #open = new Map<number, Promise<TcpProxy | undefined>>()

  /** Opens what is missing, closes what is too much; the same port several times leads to each of its targets in turn. */
  sync(ports: readonly ProxiedPort[]): void {
    const wanted = Map.groupBy(ports, ({ published }) => published)
    for (const [port, proxy] of this.#open) {
      if (wanted.has(port)) continue
      this.#open.delete(port)
      void proxy.then((open) => open?.close())
    }
    for (const [port, leading] of wanted) {
      const targets = leading.map(({ target }) => target)
      const known = this.#open.get(port)
      if (known === undefined) this.#open.set(port, openProxy(port, targets))
      else void known.then((open) => open?.retarget(targets))
    }
  }
}

function openProxy(port: number, targets: readonly ProxyTarget[]): Promise<TcpProxy | undefined> {
  return openTcpProxy({ address: '::', port }, targets).catch((error: unknown) => {
    log.warn('port is not reachable over IPv6', { port, error })
    return undefined
  })
}
