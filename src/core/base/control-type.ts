/**
 * Media types that begin with this are this software's own words between nodes: they travel as durable messages of type SwarmSync, are handled inside, acknowledged after the commit
 * of what they changed, and shown to nobody. Callers cannot send them.
 */
const controlPrefix = 'application/vnd.synaptic-mesh.'

/** Whether messages of this media type are handled inside. */
export const isControlType = (contentType: string): boolean => contentType.startsWith(controlPrefix)
