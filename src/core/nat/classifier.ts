import { after, earliest, isMeshError, type Machine, type Millis, type Random, toHex } from '../base/index.ts'
import { addressScope, type Endpoint, isSameEndpoint } from './ip-address.ts'
import { isPlausible, judge, reachOf, type ServerAnswer, type Survey, type TestResult } from './nat-verdict.ts'
import { isNotUnderstood } from './stun-attributes.ts'
import { attributeOf, decodeStun, type StunMessage } from './stun-message.ts'
import { type ProbeSocket, StunTransaction, type TransactionOptions } from './stun-transaction.ts'
import type { NatFacts } from './types.ts'

export type ClassifierInput =
  | { readonly type: 'start' }
  | { readonly type: 'packet'; readonly socket: ProbeSocket; readonly source: Endpoint; readonly bytes: Uint8Array }
  /** The system knows no way to a destination. */
  | { readonly type: 'unreachable'; readonly destination: Endpoint }
  | { readonly type: 'wake' }

export type ClassifierOutput =
  | { readonly type: 'send'; readonly socket: ProbeSocket; readonly destination: Endpoint; readonly bytes: Uint8Array }
  /** Comes once; nothing comes after it. */
  | { readonly type: 'done'; readonly facts: Omit<NatFacts, 'probedAt'>; readonly servers: readonly AskedServer[] }

/** One server, and what came of asking it. */
export interface AskedServer {
  readonly endpoint: Endpoint
  readonly result: 'answered' | 'silent' | 'unreachable' | 'implausible'
  readonly roundTripMs: number | undefined
}

export interface ClassifierOptions {
  readonly random: Random
  /** Different endpoints of one family, at most 10. */
  readonly servers: readonly Endpoint[]
  /** Of all interfaces, in canonical form. */
  readonly localAddresses: readonly string[]
  /** The port that the socket `mapping` is bound to. */
  readonly localPort: number
  /** The longest that all of it takes; default 2,000. */
  readonly budgetMs?: number
}

const defaultBudgetMs = 2_000
/** Transmissions at 0, 250 and 750 ms, given up at 1,750. RFC 8489 would wait 500 ms and retry six times. */
const firstTest = { intervalMs: 250, patience: 7 } as const

interface Asked {
  readonly transaction: StunTransaction
  result: AskedServer['result'] | undefined
}

interface RunningSurvey {
  readonly answer: ServerAnswer
  readonly roundTripMs: number
  readonly tests: Readonly<Record<TestName, SurveyTest>>
}

type TestName = 'mapping2' | 'mapping3' | 'filtering2' | 'filtering3'

interface SurveyTest {
  readonly transaction: StunTransaction
  /** Undefined while it runs, and after silence. */
  result: Endpoint | 'unknown' | undefined
}

/**
 * Finds out what NAT stands in the way, by Binding requests to the given servers (RFC 8489) from one socket, side by side. The first server that has
 * another address is used for the tests II and III of RFC 5780, from a second socket for the filtering; otherwise two servers tell the mapping.
 * Answers count only under an id that waits, from where they must come; see `isPlausible` and `judge` for what is believed of them.
 */
export class NatClassifier implements Machine<ClassifierInput, ClassifierOutput> {
  readonly #options: ClassifierOptions
  readonly #asked: readonly Asked[]
  readonly #answers: ServerAnswer[] = []
  #survey: RunningSurvey | undefined
  #isHeard = false
  #deadline: Millis | undefined
  #isDone = false

  constructor(options: ClassifierOptions) {
    this.#options = options
    this.#asked = options.servers.map((endpoint) => ({
      transaction: this.#transaction({ socket: 'mapping', destination: endpoint, answersFrom: endpoint, ...firstTest }),
      result: undefined
    }))
  }

  get wakeAt(): Millis | undefined {
    if (this.#isDone || this.#deadline === undefined) return undefined
    return earliest(this.#deadline, ...this.#transactions().map(({ wakeAt }) => wakeAt))
  }

  handle(input: ClassifierInput, now: Millis): readonly ClassifierOutput[] {
    if (this.#isDone) return []
    if (input.type === 'start') this.#deadline ??= after(now, this.#options.budgetMs ?? defaultBudgetMs)
    else if (input.type === 'packet') this.#packet(input, now)
    else if (input.type === 'unreachable') this.#unreachable(input.destination, now)
    if (this.#deadline === undefined) return []
    return this.#advance(now, this.#deadline)
  }

  #advance(now: Millis, deadline: Millis): readonly ClassifierOutput[] {
    const transactions = this.#transactions()
    if (now >= deadline) for (const transaction of transactions) transaction.end(now)
    const sent = transactions.filter((transaction) => transaction.tick(now))
    const outputs = sent.map(({ options: { socket, destination }, bytes }): ClassifierOutput => ({ type: 'send', socket, destination, bytes }))
    if (transactions.some(({ isWaiting }) => isWaiting)) return outputs
    this.#isDone = true
    return [...outputs, this.#done()]
  }

  #packet({ socket, source, bytes }: Extract<ClassifierInput, { readonly type: 'packet' }>, now: Millis): void {
    const message = decodeResponse(bytes)
    if (message === undefined) return
    const id = toHex(message.transactionId)
    const asked = this.#asked.find(({ transaction }) => transaction.id === id)
    if (asked !== undefined) this.#first(asked, { socket, source, message }, now)
    const test = Object.values(this.#survey?.tests ?? {}).find(({ transaction }) => transaction.id === id)
    if (test !== undefined) this.#tested(test, { socket, source, message }, now)
  }

  /** Test I: what does this server see? */
  #first(asked: Asked, { socket, source, message }: Arrived, now: Millis): void {
    const { transaction } = asked
    if (!transaction.isWaiting || !isExpected(transaction, socket, source)) return
    transaction.answered(now)
    this.#isHeard = true
    const mapped = mappedOf(message)
    const answer = mapped === undefined ? undefined : { server: source, mapped }
    if (answer === undefined || !isPlausible(answer, this.#options.localAddresses)) {
      asked.result = 'implausible'
      return
    }
    asked.result = 'answered'
    this.#answers.push(answer)
    const other = attributeOf(message, 'other-address')?.endpoint
    const isFarthest = reachOf(source) === Math.max(...this.#options.servers.map(reachOf))
    if (this.#survey === undefined && isFarthest && other !== undefined && isOther(other, source)) {
      this.#survey = this.#startSurvey(answer, { other, roundTripMs: transaction.roundTripMs ?? 0 })
    }
  }

  #startSurvey(answer: ServerAnswer, { other, roundTripMs }: { readonly other: Endpoint; readonly roundTripMs: number }): RunningSurvey {
    const { server } = answer
    const pace = { intervalMs: Math.min(300, Math.max(100, 1.5 * roundTripMs)), patience: 5 }
    const test = (options: Omit<TransactionOptions, 'intervalMs' | 'patience'>): SurveyTest => ({
      transaction: this.#transaction({ ...options, ...pace }),
      result: undefined
    })
    const mapping = (destination: Endpoint): SurveyTest => test({ socket: 'mapping', destination, answersFrom: destination })
    const filtering = (answersFrom: Endpoint, change: { readonly address: boolean; readonly port: boolean }): SurveyTest =>
      test({ socket: 'filtering', destination: server, answersFrom, change })
    return {
      answer,
      roundTripMs,
      tests: {
        mapping2: mapping({ address: other.address, port: server.port }),
        mapping3: mapping(other),
        filtering2: filtering(other, { address: true, port: true }),
        filtering3: filtering({ address: server.address, port: other.port }, { address: false, port: true })
      }
    }
  }

  /** Tests II and III. */
  #tested(test: SurveyTest, { socket, source, message }: Arrived, now: Millis): void {
    const { transaction } = test
    const isAnswer = isExpected(transaction, socket, source)
    // An answer from where the question went: the server cannot change its address, so that its silence would mean nothing.
    const isUnmoved = transaction.options.socket === socket && isSameEndpoint(transaction.options.destination, source)
    if (!transaction.isWaiting || (!isAnswer && !isUnmoved)) return
    transaction.answered(now)
    const mapped = isAnswer ? mappedOf(message) : undefined
    test.result = mapped !== undefined && isPlausible({ server: source, mapped }, this.#options.localAddresses) ? mapped : 'unknown'
  }

  #unreachable(destination: Endpoint, now: Millis): void {
    for (const asked of this.#asked) {
      if (!asked.transaction.isWaiting || !isSameEndpoint(asked.transaction.options.destination, destination)) continue
      asked.transaction.end(now)
      asked.result = 'unreachable'
    }
  }

  #transaction(options: TransactionOptions): StunTransaction {
    return new StunTransaction(options, this.#options.random)
  }

  #transactions(): readonly StunTransaction[] {
    return [...this.#asked, ...Object.values(this.#survey?.tests ?? {})].map(({ transaction }) => transaction)
  }

  #done(): ClassifierOutput {
    const { servers, localAddresses, localPort } = this.#options
    const facts = judge({
      asked: servers,
      answers: this.#answers,
      survey: this.#survey === undefined ? undefined : finished(this.#survey),
      isHeard: this.#isHeard,
      isOnline: this.#asked.some(({ result }) => result !== 'unreachable'),
      localAddresses,
      localPort
    })
    const asked = this.#asked.map(({ transaction: { options, roundTripMs }, result }) => ({
      endpoint: options.destination,
      result: result ?? 'silent',
      roundTripMs
    }))
    return { type: 'done', facts, servers: asked }
  }
}

interface Arrived {
  readonly socket: ProbeSocket
  readonly source: Endpoint
  readonly message: StunMessage
}

function decodeResponse(bytes: Uint8Array): StunMessage | undefined {
  try {
    const message = decodeStun(bytes)
    return message.class === 'success' || message.class === 'error' ? message : undefined
  } catch (error) {
    if (isMeshError(error, 'MESSAGE_MALFORMED')) return undefined
    throw error
  }
}

const isExpected = ({ options }: StunTransaction, socket: ProbeSocket, source: Endpoint): boolean =>
  options.socket === socket && isSameEndpoint(options.answersFrom, source)

/** What a success says; undefined for an error, and for what has to be understood and is not (RFC 8489 section 6.3.3). */
function mappedOf(message: StunMessage): Endpoint | undefined {
  if (message.class !== 'success' || message.method !== 1 || message.attributes.some(isNotUnderstood)) return undefined
  return (attributeOf(message, 'xor-mapped-address') ?? attributeOf(message, 'mapped-address'))?.endpoint
}

/** An address to ask besides: of the same kind, and different in both parts (RFC 5780 section 7.4). */
const isOther = (other: Endpoint, server: Endpoint): boolean =>
  other.port > 0 &&
  other.port !== server.port &&
  other.address !== server.address &&
  other.address.includes(':') === server.address.includes(':') &&
  addressScope(other.address) === addressScope(server.address)

function finished({ answer, roundTripMs, tests }: RunningSurvey): Survey {
  const resultOf = ({ transaction, result }: SurveyTest): TestResult<Endpoint> => result ?? (transaction.isSilent(roundTripMs) ? 'silent' : 'unknown')
  const cameThrough = (test: SurveyTest): TestResult<true> => {
    const result = resultOf(test)
    return typeof result === 'string' ? result : true
  }
  const { mapping2, mapping3, filtering2, filtering3 } = tests
  return {
    answer,
    mapping2: resultOf(mapping2),
    mapping3: resultOf(mapping3),
    filtering2: cameThrough(filtering2),
    filtering3: cameThrough(filtering3)
  }
}
