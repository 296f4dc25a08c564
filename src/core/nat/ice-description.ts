import { fromHex, MeshError, toHex } from '../base/index.ts'
import { areCredentials, candidateTypes, type DtlsRole, type IceCandidate, type IceCredentials, iceLimits } from './ice-frames.ts'
import { canonicalIp } from './ip-address.ts'

/** Largest message of the data channel, in bytes; both sides say so, and neither sends more. */
export const maxChannelMessageBytes = 65_536

/** A session description (RFC 8866, RFC 8841) with one data channel, for our own WebRTC library: it is never sent. */
export function describeSession({ fragment, password, fingerprint }: IceCredentials, dtls: DtlsRole): string {
  const lines = [
    'v=0',
    'o=- 1 0 IN IP4 0.0.0.0',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'a=ice-options:ice2,trickle',
    `a=fingerprint:sha-256 ${toHex(fingerprint).toUpperCase().match(/../g)?.join(':') ?? ''}`,
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    'a=mid:0',
    'a=sendrecv',
    'a=sctp-port:5000',
    `a=max-message-size:${maxChannelMessageBytes}`,
    `a=setup:${dtls === 'client' ? 'active' : 'passive'}`,
    `a=ice-ufrag:${fragment}`,
    `a=ice-pwd:${password}`
  ]
  return lines.map((line) => `${line}\r\n`).join('')
}

/** What our own library's description says that the peer has to know. @throws {MeshError} INTERNAL when it is not as expected */
export function credentialsOf(description: string): IceCredentials {
  const value = (pattern: RegExp): string => pattern.exec(description)?.[1] ?? ''
  const hex = value(/^a=fingerprint:sha-256 ((?:[0-9A-F]{2}:){31}[0-9A-F]{2})\r?$/im).replaceAll(':', '')
  const credentials: IceCredentials = {
    fragment: value(/^a=ice-ufrag:(\S+)\r?$/m),
    password: value(/^a=ice-pwd:(\S+)\r?$/m),
    fingerprint: fromHex(hex.length === 2 * iceLimits.fingerprintBytes ? hex : '')
  }
  if (!areCredentials(credentials)) throw new MeshError('INTERNAL', { reason: 'the description of the WebRTC library is not as expected' })
  return credentials
}

/** A candidate as a line for our own library (RFC 8839 section 5.1). */
export function candidateLine({ type, priority, address, port }: IceCandidate, foundation: number): string {
  const related = type === 'host' ? '' : ' raddr 0.0.0.0 rport 0'
  return `candidate:${foundation} 1 UDP ${priority} ${address} ${port} typ ${type}${related}`
}

/** A line of our own library; undefined when it is no UDP candidate with an IP address that a peer can use. */
export function parseCandidateLine(line: string): IceCandidate | undefined {
  const [, priority = '', host = '', port = '', kind = ''] =
    /^(?:a=)?candidate:\S{1,32} 1 UDP (\d{1,10}) ([0-9A-Fa-f.:]{2,45}) (\d{1,5}) typ ([a-z]+)(?: |$)/i.exec(line) ?? []
  const address = canonicalIp(host)
  const type = candidateTypes.find((known) => known === kind)
  if (address === undefined || type === undefined || !isWithin(Number(priority), 0x7fffffff) || !isWithin(Number(port), 65_535)) return undefined
  return { type, priority: Number(priority), address, port: Number(port) }
}

const isWithin = (value: number, most: number): boolean => value >= 1 && value <= most
