/** A process that delays: each message names a port and is answered with another one, over which connections to it take so many ms (argv) longer each way. */
import { once } from 'node:events'
import { type Socket, connect, createServer } from 'node:net'

const delayMs = Number(process.argv[2])

interface Due {
  readonly at: number
  readonly run: () => void
}

const queue: Due[] = []
let isWaiting = false

/** All delays are the same: what comes first is due first. Timers go by whole milliseconds; the rest of one is waited for awake. */
function wait(): void {
  const [next] = queue
  if (next === undefined) {
    isWaiting = false
    return
  }
  const leftMs = next.at - performance.now()
  if (leftMs <= 0) {
    queue.shift()
    next.run()
    wait()
  } else if (leftMs < 1) setImmediate(wait)
  else setTimeout(wait, Math.floor(leftMs))
}

function later(run: () => void): void {
  queue.push({ at: performance.now() + delayMs, run })
  if (isWaiting) return
  isWaiting = true
  wait()
}

function pass(from: Socket, to: Socket): void {
  from.setNoDelay(true)
  from.on('data', (bytes) => later(() => to.write(bytes)))
  from.on('end', () => later(() => to.end()))
  from.on('error', () => to.destroy())
  from.on('close', () => later(() => to.destroy()))
}

async function forward(port: number): Promise<number> {
  const server = createServer((near) => {
    const far = connect({ port, host: '127.0.0.1' })
    pass(near, far)
    pass(far, near)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

process.once('disconnect', () => process.exit(0))
process.on('message', (port: number) => {
  void forward(port).then((forwarded) => process.send?.(forwarded))
})
