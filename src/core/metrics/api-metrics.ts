import { metric } from './entry.ts'

/** The metrics of the daemon around a node: its control API and gateway. */
export const apiMetrics = {
  apiRequests: metric({
    name: 'synaptic_mesh_api_requests_total',
    type: 'counter',
    unit: 'requests',
    help: 'Answers of the control API, over the socket and the gateway, by kind of status; of a stream its beginning.',
    labels: { status: ['1xx', '2xx', '4xx', '5xx'] },
    part: 'daemon'
  }),
  apiStreams: metric({
    name: 'synaptic_mesh_api_streams',
    type: 'gauge',
    unit: 'connections',
    help: 'Readers of events, over any way, and WebSockets that are open.',
    labels: { kind: ['events', 'websocket'] },
    part: 'daemon'
  }),
  apiMissedEvents: metric({
    name: 'synaptic_mesh_api_missed_events_total',
    type: 'counter',
    unit: 'events',
    help: 'Events that readers lost as they were too slow; they were told so.',
    labels: {},
    part: 'daemon'
  }),
  apiTokens: metric({
    name: 'synaptic_mesh_api_tokens',
    type: 'gauge',
    unit: 'tokens',
    help: 'Lasting tokens of the gateway that were not revoked.',
    labels: {},
    part: 'daemon'
  })
} as const
