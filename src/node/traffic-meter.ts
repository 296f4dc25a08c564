import type { MultiaddrConnection } from '@libp2p/interface'

/** Bytes on the sockets of this node since its start, encryption and libp2p's own protocols included, handshakes not. */
export interface TrafficTotals {
  readonly sent: number
  readonly received: number
}

/** Counts the bytes of connections that were upgraded. (libp2p's own metrics port would need forty methods for these two numbers.) */
export class TrafficMeter {
  #sent = 0
  #received = 0

  get totals(): TrafficTotals {
    return { sent: this.#sent, received: this.#received }
  }

  /** To be called once the encryption listens: a listener that comes first would take its bytes. */
  track(connection: MultiaddrConnection): void {
    connection.addEventListener('message', (event) => {
      this.#received += event.data.byteLength
    })
    const send = connection.send.bind(connection)
    connection.send = (data) => {
      this.#sent += data.byteLength
      return send(data)
    }
  }
}
