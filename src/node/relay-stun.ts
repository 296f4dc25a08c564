import type { MeshOptions } from '../core/options/index.ts'
import type { StartedHost } from './host.ts'
import { StunServer } from './stun-server.ts'

/** The host, and when it is a relay the STUN server beside it, on the IP addresses that the host listens on. @throws {MeshError} LISTEN_FAILED, and the host is stopped */
export async function withStunServer(
  host: StartedHost,
  { listenAddrs, stunPort }: Pick<MeshOptions, 'listenAddrs' | 'stunPort'>
): Promise<StartedHost> {
  const { relayServer, libp2p } = host
  if (relayServer === undefined || stunPort === 0) return host
  const own = libp2p.getMultiaddrs().map(String)
  try {
    const server = await StunServer.start({ hosts: hostsOf(listenAddrs, own), port: stunPort })
    relayServer.stunPort = server.port
    const stop = async (): Promise<void> => {
      await server.stop()
      await host.stop()
    }
    return { ...host, stop }
  } catch (error) {
    await host.stop()
    throw error
  }
}

/** A family that this machine does not have was left out. */
function hostsOf(listenAddrs: readonly string[], own: readonly string[]): readonly string[] {
  const hosts = listenAddrs.flatMap((address) => {
    const [, family = '', host] = /^\/(ip[46])\/([^/]+)\/tcp\/\d+(?:\/ws)?$/.exec(address) ?? []
    return host !== undefined && own.some((each) => each.startsWith(`/${family}/`)) ? [host] : []
  })
  return [...new Set(hosts)]
}
