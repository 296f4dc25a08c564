/** What a record carries; its number is the upper five bits of the header, the epoch (modulo 8) the lower three. */
export const recordTypes = {
  confirm: 0,
  data: 1,
  rekey: 2,
  rekeyAnswer: 3,
  /** The first record of the asking side under new keys. */
  rekeyed: 4,
  wordsCommit: 5,
  wordsNonce: 6,
  wordsReveal: 7,
  end: 8
} as const

export type RecordType = (typeof recordTypes)[keyof typeof recordTypes]

/**
 * The most plaintext of a record: with header, tag, the frame's length (4) and yamux's header (12) it just fills one message of libp2p's Noise (65,519
 * bytes).
 */
export const maxPlaintextBytes = 65_486

const known: readonly RecordType[] = Object.values(recordTypes)

export const headerOf = (type: RecordType, epoch: number): number => (type << 3) | (epoch & 7)

/** The type in a header; undefined for a number that is none. */
export const typeOf = (header: number): RecordType | undefined => known[header >> 3]
