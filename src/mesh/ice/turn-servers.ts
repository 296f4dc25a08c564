import type { WallMillis } from '../../core/base/index.ts'
import { restCredentials } from '../../core/nat/index.ts'
import { type MeshOptions, parseIceServer } from '../../core/options/index.ts'
import type { TurnServer } from './ice-port.ts'

type TurnOptions = Pick<MeshOptions, 'turnServers' | 'turnUsername' | 'turnPassword' | 'turnSecret'>

/** The TURN servers of the options with their credentials: of an hour when there is a secret, static ones otherwise. */
export function turnServers({ turnServers: servers, turnUsername, turnPassword, turnSecret }: TurnOptions, now: WallMillis): readonly TurnServer[] {
  const credentials =
    turnSecret === ''
      ? { username: turnUsername, password: turnPassword }
      : restCredentials(turnSecret, turnUsername === '' ? 'synaptic-mesh' : turnUsername, now)
  return servers.map((text) => {
    const { host, port } = parseIceServer(text, 'turn', 'turn_servers')
    return { host, port, ...credentials }
  })
}
