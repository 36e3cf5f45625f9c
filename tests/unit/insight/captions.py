"""Captions as people write them, by topic; each list goes from plain to hard."""

from __future__ import annotations

CAPTIONS: dict[str, list[str]] = {
    "Food": [
        "Easy 10 minute pasta recipe 🍝 #cooking",
        "My grandma's secret tomato sauce #foodie #recipe",
        "Receta de tacos al pastor 🌮 #comida",
        "street food in the night market is unreal",
        "Baking sourdough bread for the first time",
        "家常菜 红烧肉 美食",
        "Trying spicy ramen at midnight",
        "J'ai testé une recette de gâteau au chocolat",
        "أسهل وصفة كيك بالشوكولاتة",
    ],
    "Animals": [
        "My puppy learned a new trick today 🐶 #dogsoftiktok",
        "Golden retriever meets kitten for the first time",
        "POV: your cat wakes you up at 3am",
        "El gatito más lindo del mundo",
        "うちの猫がかわいい",
        "Rescue dog's first day home",
        "강아지 목욕시키기",
        "मेरी बिल्ली बहुत शरारती है",
    ],
    "Fitness": [
        "Full body workout at home, no equipment #fitness",
        "Leg day at the gym 💪 #gymtok",
        "5 squat mistakes you make",
        "15 min yoga flow 🧘",
        "Ejercicios para abdomen #entrenamiento",
        "Тренировка дома за 20 минут",
    ],
    "Gaming": [
        "Clutch 1v4 in Valorant ranked",
        "Building a castle in Minecraft #gaming",
        "Elden Ring boss fight no hit 🎮",
        "New PS5 games you should play this month",
        "原神 新角色 抽卡",
    ],
    "Sports": [
        "Messi free kick goal compilation ⚽",
        "Golazo de Cristiano Ronaldo #futbol",
        "Sunday league football skills",
        "축구 하이라이트 모음",
        "Buzzer beater to win the NBA finals 🏀",
    ],
    "Beauty": [
        "Get ready with me: soft glam makeup 💄",
        "My skincare routine for acne #skincare",
        "Easy heatless curls hairstyle",
        "Best drugstore mascara?",
        "Maquiagem para festa #beleza",
    ],
    "Technology": [
        "iPhone 17 unboxing and first impressions #tech",
        "Learn Python in 60 seconds #coding",
        "ChatGPT prompts that feel illegal to know",
        "显卡 装机 教学 电脑",
        "Building a mechanical keyboard from scratch",
    ],
    "Travel": [
        "48 hours in Bali: where to stay 🏝️ #travel",
        "Hidden beaches in Thailand",
        "Packing my suitcase for a 3 week trip",
        "Mi viaje por Japón #viajar",
        "Hotel room tour in Dubai",
    ],
}

# Nothing in them is in the lexicon of topics.
UNKNOWN = ["Pallet town anthem zyzzyva collectors meet", "zyzzyva collectors in our village", "qwop blorf snerp"]
