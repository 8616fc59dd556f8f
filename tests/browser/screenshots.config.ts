// Pictures of every page for the documentation, made from a running demo:
// TAPEDECK_TEST_URL=… TAPEDECK_TEST_LINK=… npm run screenshots
import checks from "./playwright.config";

export default { ...checks, testMatch: "screenshots.ts" };
