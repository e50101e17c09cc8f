// Which nodes run as executions of their own: a group, for which no document can name one, and a call of a definition.
const HANDLERS = new Set(["group", "workflow"]);

/** @param {{handler: string}} node by what its document says */
export const standsForRun = (node) => HANDLERS.has(node.handler);
