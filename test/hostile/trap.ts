import { createServer, type Socket } from 'node:net'

/** A port of this machine where connections are taken, and nobody ever says a word. */
export interface Trap extends AsyncDisposable {
  readonly address: string
  readonly connections: number
}

export async function startTrap(): Promise<Trap> {
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const stop = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return {
    address: `/ip4/127.0.0.1/tcp/${address.port}`,
    get connections() {
      return connections
    },
    [Symbol.asyncDispose]: stop
  }
}
