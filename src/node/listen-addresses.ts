import { createServer, type Server } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { MeshError } from '../core/base/index.ts'
import type { LogRecord } from '../mesh/mesh.ts'

/** How many ports above the wanted one are tried. */
const portsTried = 100

interface ListenAddress {
  readonly text: string
  readonly host: string
  readonly port: number
}

type Probe = 'free' | 'taken' | 'unsupported'

export interface ListenOptions {
  readonly log: (record: LogRecord) => void
  /** Takes no other port than the one that was asked for. */
  readonly exact?: boolean
  /** What opens the sockets that find out whether a port is free; node:net's by default. */
  readonly createServer?: () => Server
}

/**
 * The addresses to listen on, each with a port that is free now: a taken port is replaced by the next free one, the same for all addresses
 * that asked for it, and said so. An IP version that this machine does not have is left out, and so is an address at a relay: places there are another matter.
 * @throws {MeshError} LISTEN_FAILED when no port is free or no address is left; PORT_PRIVILEGED; ADDRESS_INVALID
 */
export async function freeListenAddresses(wanted: readonly string[], options: ListenOptions): Promise<readonly string[]> {
  const own = wanted.filter((address) => !isAtRelay(address))
  const byPort = Map.groupBy(own.map(parse), (address) => address.port)
  const chosen: string[] = []
  const used = new Set<number>(byPort.keys())
  for (const [port, addresses] of byPort) chosen.push(...(await place(addresses, port, { ...options, used })))
  if (chosen.length === 0 && own.length > 0)
    throw new MeshError('LISTEN_FAILED', { address: own.join(', '), reason: 'none of them exists on this machine' })
  return chosen
}

const isAtRelay = (address: string): boolean => address.endsWith('/p2p-circuit')

interface Placing extends ListenOptions {
  readonly used: Set<number>
}

async function place(
  addresses: readonly ListenAddress[],
  wantedPort: number,
  { used, log, exact = false, createServer: create = createServer }: Placing
): Promise<readonly string[]> {
  const names = addresses.map((address) => address.text)
  const end = Math.min(65_536, wantedPort + (exact ? 1 : portsTried))
  for (let port = wantedPort; port < end; port++) {
    if (port !== wantedPort && used.has(port)) continue
    const probes = await Promise.all(addresses.map((address) => probe(address.host, port, create)))
    if (probes.includes('taken')) continue
    const usable = names.filter((_, index) => probes[index] === 'free')
    const left = names.filter((_, index) => probes[index] === 'unsupported')
    if (left.length > 0) log({ level: 'info', event: 'listen.unsupported', fields: { addresses: left } })
    if (port === wantedPort) return usable
    used.add(port)
    const moved = usable.map((address) => address.replace(`/tcp/${wantedPort}`, `/tcp/${port}`))
    log({ level: 'warn', event: 'listen.port-taken', fields: { wanted: wantedPort, port, addresses: moved } })
    return moved
  }
  throw new MeshError('LISTEN_FAILED', {
    address: names.join(', '),
    reason: exact ? `the port ${wantedPort} is taken` : `the ports ${wantedPort} to ${end - 1} are taken`
  })
}

function parse(text: string): ListenAddress {
  const problem = (cause?: unknown): MeshError =>
    new MeshError('ADDRESS_INVALID', { address: text, reason: 'an IP address and a TCP port are needed to listen' }, { cause })
  try {
    const parts = multiaddr(text).getComponents()
    const host = parts.find((part) => part.name === 'ip4' || part.name === 'ip6')?.value
    const port = parts.find((part) => part.name === 'tcp')?.value
    if (host === undefined || port === undefined) throw problem()
    return { text, host, port: Number(port) }
  } catch (cause) {
    throw problem(cause)
  }
}

function probe(host: string, port: number, create: () => Server): Promise<Probe> {
  return new Promise((resolve, reject) => {
    const server = create()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve('taken')
      else if (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT') resolve('unsupported')
      else if (error.code === 'EACCES') reject(new MeshError('PORT_PRIVILEGED', { port, file: process.execPath }, { cause: error }))
      else reject(new MeshError('LISTEN_FAILED', { address: `${host} port ${port}`, reason: error.code ?? error.message }, { cause: error }))
    })
    server.listen({ host, port, ipv6Only: host.includes(':') }, () => server.close(() => resolve('free')))
  })
}
