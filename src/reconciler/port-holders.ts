/**
 * Who has which port of the host. Replicas of one service may have the same one together; between all others it is a
 * conflict.
 */
import { reservePort, type PortRequest, type PortReservation } from '../network/port-reservation.ts'

interface SharedPort {
  readonly owner: string
  readonly reservation: PortReservation
  holders: number
}

export class PortHolders {
  readonly #shared = new Map<string, SharedPort>()

  /**
   * Takes a port for one container. What is taken is given back by its own `release`; the port is free after the last.
   * @param owner those with the same one share a single port that they ask for; undefined: nobody shares it
   * @throws what `reservePort` throws
   */
  take(owner: string | undefined, request: PortRequest): PortReservation {
    const { published } = request
    if (owner === undefined || published === undefined || published.from !== published.to)
      return reservePort(request)
    const key = `${request.hostIp} ${request.protocol} ${String(published.from)}`
    const known = this.#shared.get(key)
    const port =
      known?.owner === owner ? known : { owner, reservation: reservePort(request), holders: 0 }
    this.#shared.set(key, port)
    port.holders++
    return this.#handle(key, port)
  }

  #handle(key: string, port: SharedPort): PortReservation {
    const { hostIp, protocol, port: number } = port.reservation
    let held = true
    return {
      hostIp,
      protocol,
      port: number,
      release: () => {
        if (!held) return
        held = false
        port.holders--
        if (port.holders > 0) return
        this.#shared.delete(key)
        port.reservation.release()
      },
    }
  }
}
