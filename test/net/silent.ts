import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

/** Addresses at which somebody takes connections and never says a word. */
export async function silentAddresses(count: number): Promise<AsyncDisposable & { readonly addresses: readonly string[] }> {
  const sockets = new Set<Socket>()
  const servers = Array.from({ length: count }, () => createServer((socket) => void sockets.add(socket.on('error', () => undefined))))
  const addresses: string[] = []
  for (const server of servers) {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const address = server.address()
    if (typeof address === 'object' && address !== null) addresses.push(`/ip4/127.0.0.1/tcp/${address.port}`)
  }
  const dispose = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    for (const server of servers) server.close()
  }
  return { addresses, [Symbol.asyncDispose]: dispose }
}
