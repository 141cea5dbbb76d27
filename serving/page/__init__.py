# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor app`: a web page to talk to a video. `page` lays it out, `sessions` keeps users apart, `timeline` draws."""
