"""The ways in: HTTP (`app.create_app`, `worker`) and the command line (`cli`). They translate, stream and answer; the
router decides. Importing this loads neither."""
