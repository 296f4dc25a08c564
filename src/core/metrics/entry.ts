/** The values of a label: all of them named, or at most so many different ones; whatever else comes is counted as `other`. Never a peer. */
export type LabelValues = readonly string[] | { readonly atMost: number }

/** One metric. Counters end in `_total`; a unit stands in the name (Prometheus naming). */
export interface MetricEntry {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly unit:
    | 'messages'
    | 'bytes'
    | 'seconds'
    | 'peers'
    | 'connections'
    | 'frames'
    | 'commits'
    | 'errors'
    | 'findings'
    | 'attempts'
    | 'milliseconds'
    | 'circuits'
    | 'cells'
    | 'handshakes'
    | 'requests'
    | 'events'
    | 'tokens'
    | 'groups'
  /** What it means, in one sentence. */
  readonly help: string
  readonly labels: Readonly<Record<string, LabelValues>>
  /** Upper bounds of a histogram's buckets, rising; +Inf is added. */
  readonly buckets?: readonly number[]
  /** Whose it is: of the daemon around a node; otherwise of the node itself. */
  readonly part?: 'daemon'
}

/** States a metric with the exact types of its labels. */
export const metric = <const Entry extends MetricEntry>(entry: Entry): Entry => entry
