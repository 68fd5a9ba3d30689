// The same helper for `import`.
import helper from "./test.cjs";

export const { startLocalQueue } = helper;
