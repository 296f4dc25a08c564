import { MeshError, type WallMillis } from '../../core/base/index.ts'
import { restCredentials } from '../../core/nat/index.ts'
import { type MeshOptions, parseIceServer } from '../../core/options/index.ts'
import type { TurnServer, TurnVerdict } from './ice-port.ts'

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

/** The same for a run over TURN alone. @throws {MeshError} TURN_NOT_CONFIGURED */
export function requiredTurnServers(options: TurnOptions, now: WallMillis): readonly TurnServer[] {
  const servers = turnServers(options, now)
  if (servers.length === 0) throw new MeshError('TURN_NOT_CONFIGURED')
  return servers
}

export interface TurnAnswer {
  readonly server: TurnServer
  readonly verdict: TurnVerdict
}

/** Why no server gave an address, by what the first one says; undefined when one did. */
export function turnFailure(answers: readonly TurnAnswer[]): MeshError | undefined {
  const [first] = answers
  if (first === undefined || answers.some(({ verdict }) => verdict.result === 'allocated')) return undefined
  const { server, verdict } = first
  return new MeshError('TURN_FAILED', { server: `turn:${server.host}:${server.port}`, reason: verdict.reason })
}
