# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Video-ChatGPT's five aspects of descriptive answers, each scored from 0 to 5 by a judge.

The judge's instructions are those of the published evaluation scripts, whose example reply ("4.8") contradicts the
integer that they ask for; a decimal score is read as it stands. Three aspects share the generic questions; consistency
has its own pairs of questions, whose two answers are judged together.
"""

from ..answers import parse_text
from ..readers import own_data, video_chatgpt
from ..task import AnswerRules, EvalTask, JudgePrompt, PublishedData

_INTRODUCTION = (
    "You are an intelligent chatbot designed for evaluating the {aspect} of generative outputs for {what}. {task} "
    "Here's how you can accomplish the task:------##INSTRUCTIONS: {instructions}"
)
_REQUEST = (
    "Please evaluate the following video-based question-answer pair:\n\n{answers}\n\n"
    "Provide your evaluation only as a {score} score where the {score} score is an integer value between 0 and 5, "
    "with 5 indicating the highest level of {best}. Please generate the response in the form of a Python "
    "dictionary string with keys 'score', where its value is the {score} score in INTEGER, not STRING.DO NOT PROVIDE "
    "ANY OTHER OUTPUT TEXT OR EXPLANATION. Only provide the Python dictionary string. For example, your response "
    "should look like this: {{{{''score': 4.8}}}}."
)
_ONE_ANSWER = "Question: {question}\nCorrect Answer: {reference}\nPredicted Answer: {hypothesis}"
_TWO_ANSWERS = (
    "Question 1: {question}\nQuestion 2: {question_2}\nCorrect Answer: {reference}\n"
    "Predicted Answer to Question 1: {hypothesis}\nPredicted Answer to Question 2: {hypothesis_2}"
)
_PAIRS = "video-based question-answer pairs"
_COMPARE = "Your task is to compare the predicted answer with the correct answer and determine "
_SYNONYMS = "- Consider synonyms or paraphrases as valid matches"

CORRECTNESS = JudgePrompt(
    _REQUEST.format(answers=_ONE_ANSWER, score="factual accuracy", best="factual consistency"),
    reply="score",
    system=_INTRODUCTION.format(
        aspect="factual accuracy",
        what=_PAIRS,
        task=_COMPARE + "if they are factually consistent.",
        instructions="- Focus on the factual consistency between the predicted answer and the correct answer. The "
        "predicted answer should not contain any misinterpretations or misinformation.\n"
        "- The predicted answer must be factually accurate and align with the video content.\n"
        f"{_SYNONYMS}.\n- Evaluate the factual accuracy of the prediction compared to the answer.",
    ),
)
DETAIL = JudgePrompt(
    _REQUEST.format(answers=_ONE_ANSWER, score="detail orientation", best="detail orientation"),
    reply="score",
    system=_INTRODUCTION.format(
        aspect="detail orientation",
        what=_PAIRS,
        task=_COMPARE + "its level of detail, considering both completeness and specificity.",
        instructions="- Check if the predicted answer covers all major points from the video. The response should not "
        "leave out any key aspects.\n"
        "- Evaluate whether the predicted answer includes specific details rather than just generic points. It should "
        "provide comprehensive information that is tied to specific elements of the video.\n"
        f"{_SYNONYMS}.\n- Provide a single evaluation score that reflects the level of detail orientation of the "
        "prediction, considering both completeness and specificity.",
    ),
)
CONTEXT = JudgePrompt(
    _REQUEST.format(answers=_ONE_ANSWER, score="contextual understanding", best="contextual understanding"),
    reply="score",
    system=_INTRODUCTION.format(
        aspect="contextual understanding",
        what=_PAIRS,
        task=_COMPARE + "if the generated response aligns with the overall context of the video content.",
        instructions="- Evaluate whether the predicted answer aligns with the overall context of the video content. "
        "It should not provide information that is out of context or misaligned.\n"
        "- The predicted answer must capture the main themes and sentiments of the video.\n"
        f"{_SYNONYMS}.\n- Provide your evaluation of the contextual understanding of the prediction compared to the "
        "answer.",
    ),
)
TEMPORAL = JudgePrompt(
    _REQUEST.format(answers=_ONE_ANSWER, score="temporal accuracy", best="temporal consistency"),
    reply="score",
    system=_INTRODUCTION.format(
        aspect="temporal understanding",
        what=_PAIRS,
        task=_COMPARE + "if they correctly reflect the temporal sequence of events in the video content.",
        instructions="- Focus on the temporal consistency between the predicted answer and the correct answer. The "
        "predicted answer should correctly reflect the sequence of events or details as they are presented in the "
        "video content.\n"
        f"{_SYNONYMS}, but only if the temporal order is maintained.\n- Evaluate the temporal accuracy of the "
        "prediction compared to the answer.",
    ),
)
CONSISTENCY = JudgePrompt(
    _REQUEST.format(answers=_TWO_ANSWERS, score="consistency", best="consistency"),
    reply="score",
    system=_INTRODUCTION.format(
        aspect="consistency",
        what="similar " + _PAIRS,
        task="You will be given two very similar questions, a common answer common to both the questions and "
        "predicted answers for the two questions. Your task is to compare the predicted answers for two very similar "
        "question, with a common correct answer and determine if they are consistent.",
        instructions="- Focus on the consistency between the two predicted answers and the correct answer. Both "
        "predicted answers should correspond to the correct answer and to each other, and should not contain any "
        "contradictions or significant differences in the conveyed information.\n"
        "- Both predicted answers must be consistent with each other and the correct answer, in terms of the "
        "information they provide about the video content.\n"
        f"{_SYNONYMS}, but only if they maintain the consistency in the conveyed information.\n- Evaluate the "
        "consistency of the two predicted answers compared to the correct answer.",
    ),
)


def _aspect(name: str, title: str, judge: JudgePrompt, file: str, size: int, published: float) -> EvalTask:
    """One aspect; `published` is what the Video-ChatGPT paper reports for its own model."""
    data = PublishedData(
        f"Video-ChatGPT {file}",
        size,
        video_chatgpt.question_pairs if name == "consistency" else video_chatgpt.questions,
        f"Video-ChatGPT/{file}",
        file,
    )
    answers = AnswerRules(parse_text, ("judged_score",), max_new_tokens=256, judge=judge)
    return EvalTask(
        f"vcg_{name}",
        f"Video-ChatGPT, {title}",
        data,
        answers,
        complete=own_data.with_partner if name == "consistency" else None,
        paper_rows={"Video-ChatGPT 7B": {"judged_score": published}},
    )


TASKS = (
    _aspect("correctness", "correctness of information", CORRECTNESS, "generic_qa.json", 1996, 2.40),
    _aspect("detail", "detail orientation", DETAIL, "generic_qa.json", 1996, 2.52),
    _aspect("context", "contextual understanding", CONTEXT, "generic_qa.json", 1996, 2.62),
    _aspect("temporal", "temporal understanding", TEMPORAL, "temporal_qa.json", 499, 1.98),
    _aspect("consistency", "consistency", CONSISTENCY, "consistency_qa.json", 998, 2.37),
)
