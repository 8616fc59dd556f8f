// Every page's script: live data, preferences, keys and forms. Charts come in a script of their own, so
// that a page without one does not load it.

import htmx from "htmx.org";
import { startFilters } from "./filters";
import { startForms } from "./forms";
import { startKeys } from "./keys";
import { isPaused, startLive, togglePause } from "./live";
import { startPalette } from "./palette";
import { startTail } from "./tail";
import { startSettings } from "./settings";
import { startTheme } from "./theme";
import { startTimeline } from "./timeline";
import { startUnits } from "./units";
import { startZone } from "./zone";

// The content security policy allows neither inline styles nor evaluated code.
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;
htmx.config.allowScriptTags = false;
htmx.config.selfRequestsOnly = true;
htmx.config.historyEnabled = false;

startTheme();
startZone();
startUnits();
startForms();
startFilters();
startKeys();
startPalette();
startTimeline();
startSettings();
startLive();
startTail(isPaused, togglePause);
document.documentElement.dataset["script"] = "on";
