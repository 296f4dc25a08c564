import { ControlClient } from '../../api/index.ts'
import { safeText } from '../../core/base/index.ts'
import type { ProfilePaths } from '../../core/options/index.ts'
import type { Candidate, Kind } from './complete.ts'

/** How long a shell waits at most for names. Nothing is started for them. */
export const namesMs = 300
/** Only what can do nothing else on a command line: letters, digits and a few marks, never at the beginning. Whatever else a peer calls itself is not offered. */
const offered = /^[\p{L}\p{N}][\p{L}\p{N}\p{M}._:@+-]{0,127}$/u
/** Nor what a terminal would not show as it is, such as letters that take no ink. */
const isHarmless = (value: string): boolean => offered.test(value) && safeText(value) === value
const most = 200

/** Names of what the running daemon knows, for people to choose from; none when it does not run or takes longer than 300 ms. */
export async function liveNames(kind: Kind, paths: ProfilePaths): Promise<readonly Candidate[]> {
  const client = new ControlClient(paths)
  const deadline = AbortSignal.timeout(namesMs)
  const asked = askers[kind]?.map((ask) => ask(client, deadline)) ?? []
  const answers = await Promise.allSettled(asked)
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  const byValue = new Map(found.filter(({ value }) => isHarmless(value)).map((each) => [each.value, each]))
  return [...byValue.values()].slice(0, most)
}

type Ask = (client: ControlClient, signal: AbortSignal) => Promise<readonly Candidate[]>

/** Peers by the names that resolve: paired ones by alias or name, others by their id. */
const peers: Ask = async (client, signal) => {
  const { peers: known } = await client.call('peers', {}, { signal })
  return known.map(({ peerId, name, paired, connected }) => ({
    value: paired && isHarmless(name) ? name : peerId,
    about: `${paired ? 'paired' : 'not paired'}${connected ? ', connected' : ''}`
  }))
}

const messages: Ask = async (client, signal) => {
  const { messages: unread } = await client.call('inboxList', { limit: 50 }, { signal })
  return unread.map(({ id, type }) => ({ value: id, about: type }))
}

const circuits: Ask = async (client, signal) => {
  const { circuits: open } = await client.call('circuitList', {}, { signal })
  return open.map(({ circuit, state }) => ({ value: circuit, about: state }))
}

const groups: Ask = async (client, signal) => {
  const { groups: known } = await client.call('groupList', {}, { signal })
  return known.map(({ name, state, members }) => ({ value: name, about: `group of ${members.length}, ${state}` }))
}

const agents: Ask = async (client, signal) => {
  const { agents: own } = await client.call('agentList', {}, { signal })
  return own.map(({ label }) => ({ value: label, about: 'agent of this node' }))
}

const sent: Ask = async (client, signal) => {
  const { messages: rows } = await client.call('outboxList', { limit: 50 }, { signal })
  return rows.map(({ id, type, status }) => ({ value: id, about: `${type}, ${status}` }))
}

const consumers: Ask = async (client, signal) => {
  const { consumers: known } = await client.call('inboxConsumers', {}, { signal })
  return known.map(({ name }) => ({ value: name, about: 'consumer' }))
}

const invites: Ask = async (client, signal) => {
  const { invites: open } = await client.call('inviteList', {}, { signal })
  return open.map(({ id, state }) => ({ value: id, about: state }))
}

const tokens: Ask = async (client, signal) => {
  const { tokens: known } = await client.call('tokenList', {}, { signal })
  return known.map(({ name, scope }) => ({ value: name, about: scope }))
}

const askers: Readonly<Partial<Record<Kind, readonly Ask[]>>> = {
  peer: [peers],
  destination: [peers, groups],
  group: [groups],
  agent: [agents],
  sent: [sent],
  consumer: [consumers],
  invite: [invites],
  token: [tokens],
  message: [messages],
  circuit: [circuits]
}
